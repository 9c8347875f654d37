// Prints one line a test and what went wrong; at the end what failed once more, since a long output is often kept in
// part, and "N passed, N failed".
export default async function* report(source) {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const failures = [];
  for await (const { type, data } of source) {
    if (data?.details?.type === 'suite' || (type !== 'test:pass' && type !== 'test:fail')) {
      if (type === 'test:stderr') process.stderr.write(data.message);
      continue;
    }
    if (data.nesting === 0 && data.file === data.name) continue; // the file itself
    const ms = Math.round(data.details.duration_ms);
    if (data.skip !== undefined) {
      skipped++;
      yield `- ${data.name} (skipped: ${data.skip || 'no reason given'})\n`;
    } else if (type === 'test:pass') {
      passed++;
      yield `✓ ${data.name} (${ms} ms)\n`;
    } else {
      failed++;
      const cause = data.details.error?.cause ?? data.details.error;
      const failure = `✗ ${data.name} (${ms} ms)\n${String(cause?.stack ?? cause).replace(/^/gm, '    ')}\n`;
      failures.push(failure);
      yield failure;
    }
  }
  for (const failure of failures) yield `--- FAIL: ${failure}`;
  yield `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`;
}
