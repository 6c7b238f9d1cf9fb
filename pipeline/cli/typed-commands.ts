import { COMMANDS } from './registry.ts';

const NAMES = COMMANDS.map(({ name }) => name).join('|');
/** As messages name a command: `lxmert-data fetch`, and what follows on the same line. */
const NAMED = new RegExp(`\\blxmert-data (${NAMES})\\b( (?=\\S))?`, 'g');
/** Commands whose outcome depends on the data root. */
const OF_DATA = new Set(['fetch', 'status', 'make-json', 'extract', 'verify', 'inspect', 'doctor']);

export interface Calling {
  /** Whether the user typed `npm run COMMAND`. */
  readonly byNpm: boolean;
  /** The data root that the user named on the command line. */
  readonly data?: string | undefined;
}

/** Rewrites the commands that a message names as this user must type them. */
export function nameCommandsAsTyped(text: string, { byNpm, data }: Calling): string {
  return text.replaceAll(NAMED, (_, name: string, space: string | undefined) => {
    const root = data === undefined || !OF_DATA.has(name) ? '' : ` --data ${quoted(data)}`;
    const hasMore = root !== '' || space !== undefined;
    const command = byNpm ? `npm run ${name}${hasMore ? ' --' : ''}` : `lxmert-data ${name}`;
    return `${command}${root}${space ?? ''}`;
  });
}

/** A path as a shell takes it. */
export function quoted(path: string): string {
  return /^[\w./~-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
