import { STATIC_STEPS, StepRunner } from './run-steps.ts';

/* `npm run check`: what `npm test` does before it runs tests. */

const runner = new StepRunner();
for (const step of STATIC_STEPS) await runner.run(step);
process.exitCode = runner.finish();
