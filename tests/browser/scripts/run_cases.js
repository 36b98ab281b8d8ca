// Runs the cases of all files of page logic.
import { cases as conferences } from '/conference_logic.js';
import { cases as pages } from '/page_logic.js';
import { cases as quality } from '/quality_logic.js';
import { cases as sockets } from '/socket_logic.js';

/** @returns {Promise<{ran: number, failures: string[]}>} */
export async function runAll() {
  const failures = [];
  const cases = [conferences, pages, quality, sockets].flatMap((file) => Object.entries(file));
  for (const [name, run] of cases) {
    try {
      await run();
    } catch (error) {
      failures.push(`${name}: ${error.message}`);
    }
  }
  return { ran: cases.length, failures };
}
