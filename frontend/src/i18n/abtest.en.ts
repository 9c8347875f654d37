// English texts of the A/B page that came with its rooms; abtest.ja.ts has the same keys.

export const enABTest = {
  'ab.accuracyBars': 'Accuracy',
  'ab.asTable': 'As a table',
  'ab.comma': ', ',
  'ab.deltaPoints': 'B − A, points',
  'ab.done.finetuned': 'fine-tuned',
  'ab.done.untouched': 'as it is',
  'ab.folder': 'Folder:',
  'ab.group': 'Group',
  'ab.byGroup': 'By language and domain',
  'ab.groupsHow': 'Counts, without intervals: what decides is above, over all rows together.',
  'ab.mcnemarP': 'p of McNemar’s test',
  'ab.moreGroups': '{count} more group is not shown.|{count} more groups are not shown.',
  'ab.noGroups': 'The rows have one language and one domain, or none is recorded.',
  'ab.noProbabilities': 'The result holds no probabilities.',
  'ab.reliability': 'Reliability',
  'ab.reliabilityOf': 'Share of right answers by confidence. Expected calibration error: A {a}, B {b}',
  'modules.tryUnknown': 'Of the newest runs none that was looked at has an A/B test; {count} more was not looked at: open its A/B page and try it there.|Of the newest runs none that was looked at has an A/B test; {count} more were not looked at: open the A/B page of one and try it there.',
} as const;
