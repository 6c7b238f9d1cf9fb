import { answerInOrder } from '../worker-answers.ts';
import { checkRows } from './check-stored-rows.ts';

answerInOrder(checkRows);
