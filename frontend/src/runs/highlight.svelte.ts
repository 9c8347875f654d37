/** The run under the pointer or the keyboard, in the table or in a chart; each draws it so that it is found in the other. */
class Highlight {
  run = $state('');
  /** Whose lines are lit together: the runs of a group under the pointer. */
  group = $state('');
}

export const highlight = new Highlight();
