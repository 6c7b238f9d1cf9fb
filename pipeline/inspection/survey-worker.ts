import { answerInOrder } from '../workers/answers.ts';
import { surveyRows } from './survey-rows.ts';

answerInOrder(surveyRows);
