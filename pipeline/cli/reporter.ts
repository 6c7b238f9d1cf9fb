import { styleText } from 'node:util';
import { errorText, LxmertDataError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { nameSystemError } from '../files/system-error.ts';
import { type Calling, nameCommandsAsTyped } from './typed-commands.ts';
import { showOnTerminal } from '../show-text.ts';
import { describeProblem } from '../problem.ts';
import { createProgress } from './progress.ts';
import { describeRate, formatDuration, type ProgressEvent } from './progress-line.ts';

/** Goes up when a key of the JSON output is renamed, removed or changes its meaning: docs/json.md. */
const JSON_SCHEMA_VERSION = 1;
/** JSON progress events are thinned out to one in this time for each input. */
const JSON_INTERVAL_MS = 100;
/** Problems printed one by one; a report has all of them. */
const MAX_PRINTED_PROBLEMS = 20;

export type ReportMode = 'human' | 'json' | 'quiet';

/** Shows events to the person at the terminal, or to the program that reads the output. */
export interface Reporter {
  /** Takes an event of a stage. Problems and warnings are shown in every mode. */
  readonly emit: Emit;
  /** A line of the summary for people: not shown with --quiet. */
  readonly print: (line: string) => void;
  /** A line about what was found to be wrong: part of the summary, and with --quiet on standard error. */
  readonly fault: (line: string) => void;
  /** The last line of the summary: what was made and where, how long it took, and what to do next. */
  readonly finish: (line: string, facts?: SummaryFacts) => void;
  /** A line of a result that was asked for (a list, a plan, a status): shown with --quiet too. */
  readonly show: (line: string) => void;
  /** An error that does not end the command: always on standard error. */
  readonly error: (message: string) => void;
  /** Removes the progress bar and says how many problems were not printed. */
  readonly end: () => void;
  /** The error that ends the command. */
  readonly fail: (error: unknown) => void;
}

/** What the last line of a command adds. */
export interface SummaryFacts {
  /** What was worked through since the command began, for its speed. */
  readonly done?: number | undefined;
  readonly unit?: ProgressEvent['unit'] | undefined;
  /** What to do next, as a command or in words. */
  readonly next?: string | undefined;
  /** Whether standard output is for another program, such as kubectl, and the summary goes to standard error. */
  readonly aside?: boolean | undefined;
}

export interface ReporterOptions {
  readonly mode: ReportMode;
  readonly out: NodeJS.WriteStream;
  readonly err: NodeJS.WriteStream;
  /** Name of the command, for its progress; undefined while it is not known, and of commands that have none. */
  readonly command?: string | undefined;
  /** How the user called the program, so that messages name commands as they must be typed. */
  readonly calling: Calling;
}

export function createReporter(options: ReporterOptions): Reporter {
  return options.mode === 'json' ? createJsonReporter(options) : createTextReporter(options);
}

function createTextReporter({ mode, out, err, command, calling }: ReporterOptions): Reporter {
  const quiet = mode === 'quiet';
  const began = performance.now();
  const progress = quiet || command === undefined ? undefined : createProgress(err, command);
  let problems = 0;
  const write = (stream: NodeJS.WriteStream, line: string): void => {
    progress?.clear();
    stream.write(`${line}\n`);
  };
  // The one place where text reaches the terminal: names and reasons in it may come from anybody.
  const style = (format: 'red' | 'yellow' | 'dim', text: string): void =>
    write(err, styleText(format, showOnTerminal(nameCommandsAsTyped(text, calling)), { stream: err }));
  const result = (line: string): void => write(out, showOnTerminal(nameCommandsAsTyped(line, calling)));
  const error = (message: string): void => style('red', `error: ${message}`);
  const print = (line: string): void => {
    if (!quiet) result(line);
  };
  return {
    emit(event) {
      switch (event.event) {
        case 'progress':
          progress?.update(event);
          break;
        case 'problem':
          problems++;
          if (problems > MAX_PRINTED_PROBLEMS) break;
          style(
            event.severity === 'error' ? 'red' : 'yellow',
            `${event.severity}: ${describeProblem(event)}`,
          );
          break;
        case 'warning':
          style('yellow', `warning: ${event.message}`);
          break;
        case 'note':
          if (!quiet) style('dim', event.message);
      }
    },
    print,
    fault(line) {
      if (quiet) style('red', line);
      else result(line);
    },
    finish(line, facts) {
      // What is closed after it must not bring the progress back below the summary.
      progress?.end();
      const summary = `${line}${describeFacts((performance.now() - began) / 1000, facts)}`;
      if (facts?.aside !== true) print(summary);
      else if (!quiet) style('dim', summary);
    },
    show: result,
    error,
    end() {
      progress?.end();
      const hidden = problems - MAX_PRINTED_PROBLEMS;
      if (hidden > 0) err.write(`… and ${hidden} more problems; --report FILE.json writes all of them\n`);
    },
    fail: reason => error(describeFailure(reason)),
  };
}

function describeFacts(seconds: number, { done = 0, unit = 'images', next }: SummaryFacts = {}): string {
  const rate = done > 0 && seconds > 0 ? `, ${describeRate(unit, done / seconds)}` : '';
  return `; ${formatDuration(seconds)}${rate}${next === undefined ? '' : `; next: ${next}`}`;
}

function createJsonReporter({ out, calling }: ReporterOptions): Reporter {
  const asTyped = (_key: string, value: unknown): unknown =>
    typeof value === 'string' ? nameCommandsAsTyped(value, calling) : value;
  const write = (value: unknown): void => void out.write(`${escapeHidden(JSON.stringify(value, asTyped))}\n`);
  const written = new Map<string, number>();
  const isDue = (event: ProgressEvent): boolean => {
    const key = `${event.stage} ${event.input}`;
    if (event.done < event.total && Date.now() - (written.get(key) ?? 0) < JSON_INTERVAL_MS) return false;
    written.set(key, Date.now());
    return true;
  };
  return {
    emit(event) {
      if (event.event === 'result') write({ ...event, schema_version: JSON_SCHEMA_VERSION });
      else if (event.event !== 'progress' || isDue(event)) write(event);
    },
    print: () => undefined,
    fault: () => undefined,
    finish: () => undefined,
    show: () => undefined,
    // The result event of the command has it.
    error: () => undefined,
    end: () => undefined,
    fail(error) {
      const named = nameSystemError(error);
      const code = named instanceof LxmertDataError ? named.code : 'ERR_INTERNAL';
      const { what, where, expected, got, hint } =
        named instanceof LxmertDataError ? named.parts : { what: errorText(named) };
      write({
        event: 'error',
        schema_version: JSON_SCHEMA_VERSION,
        code,
        message: describeFailure(named),
        what,
        where,
        expected,
        got,
        hint,
      });
    },
  };
}

/** JSON escapes C0 by itself; what else a terminal would act on is escaped too, which leaves the values as they are. */
function escapeHidden(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The message of an error that this tool names itself; everything else with its stack, since it is a defect. */
export function describeFailure(failure: unknown): string {
  const error = nameSystemError(failure);
  if (error instanceof LxmertDataError) {
    return error.code === 'ERR_INTERNAL' && error.cause instanceof Error
      ? `${error.message}\n${error.cause.stack ?? ''}`
      : error.message;
  }
  return error instanceof Error ? (error.stack ?? error.message) : errorText(error);
}
