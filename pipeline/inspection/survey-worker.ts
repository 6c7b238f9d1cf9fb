import { answerInOrder } from '../worker-answers.ts';
import { surveyRows } from './survey-rows.ts';

answerInOrder(surveyRows);
