import { parentPort } from 'node:worker_threads';
import { LxmertDataError } from '../errors.ts';
import { type SurveyRange, type SurveyReply, surveyRows } from './survey-rows.ts';

// The pool takes answers in the order of its requests, so one range is done after the other.
let last: Promise<void> = Promise.resolve();
parentPort?.on('message', (range: SurveyRange) => {
  last = last.then(async () => {
    parentPort!.postMessage(await answer(range));
  });
});

async function answer(range: SurveyRange): Promise<SurveyReply> {
  try {
    return { survey: await surveyRows(range) };
  } catch (error) {
    // Anything else ends the thread; the pool passes the reason on.
    if (!(error instanceof LxmertDataError)) throw error;
    return { failure: { code: error.code, parts: { ...error.parts, cause: undefined } } };
  }
}
