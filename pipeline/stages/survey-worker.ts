import { parentPort } from 'node:worker_threads';
import { LxmertDataError } from '../errors.ts';
import { type SurveyRange, type SurveyReply, surveyRows } from './survey-rows.ts';

parentPort?.on('message', (range: SurveyRange) => {
  surveyRows(range).then(
    survey => reply({ survey }),
    (error: unknown) => {
      if (error instanceof LxmertDataError) {
        reply({ failure: { code: error.code, parts: { ...error.parts, cause: undefined } } });
        return;
      }
      // Ends the thread; the pool passes the reason on.
      setImmediate(() => {
        throw error;
      });
    },
  );
});

function reply(message: SurveyReply): void {
  parentPort?.postMessage(message);
}
