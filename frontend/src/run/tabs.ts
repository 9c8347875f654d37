// The parts of a run's page, as they stand in its address.
export const tabs = ['curves', 'parameters', 'samples', 'artifacts', 'log', 'system', 'lineage', 'notes'] as const;
export type Tab = (typeof tabs)[number];
