import { answerInOrder } from '../workers/answers.ts';
import { checkRows } from './check-rows.ts';

answerInOrder(checkRows);
