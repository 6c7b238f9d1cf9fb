import { loadAssets } from './assets.ts';
import { type Html, html, outwardLink } from './html.ts';
import { endPage, factList, notice, startPage, type Tile, tileRow } from './page.ts';
import { formatCount, showAll } from '../show-text.ts';

export type Tone = 'good' | 'warn' | 'bad' | 'plain';

export interface HealthRow {
  readonly what: string;
  readonly state: string;
  readonly tone: Tone;
  /** Under the names of the section's columns. */
  readonly cells: readonly HealthCell[];
}

/** A text, or several of which some are links out of the page. */
export type HealthCell = string | readonly HealthLink[];

export interface HealthLink {
  readonly text: string;
  /** An https address; undefined for plain text. */
  readonly address?: string | undefined;
}

/** The one command that gets everything of a section. */
export interface HealthCommand {
  readonly command: string;
  /** What must be done before, as sentences. */
  readonly before?: readonly string[];
}

export interface HealthProblem {
  readonly where: string;
  readonly what: string;
  /** What to do; commands and all. */
  readonly fix: string;
}

/** A dataset or a store, and how it is. */
export interface HealthSection {
  readonly title: string;
  readonly state: string;
  readonly tone: Tone;
  readonly facts?: readonly (readonly [name: string, value: string])[] | undefined;
  /** What a row is of. */
  readonly rowName?: string;
  readonly columns?: readonly string[];
  readonly rows?: readonly HealthRow[];
  readonly problems: readonly HealthProblem[];
  readonly command?: HealthCommand | undefined;
  /** Whether there is nothing to see at first. */
  readonly folded?: boolean;
}

export interface HealthReport {
  readonly title: string;
  readonly about: string;
  readonly date: Date;
  /** Writes commands in a text as the user must type them. */
  readonly asTyped: (text: string) => string;
  readonly tiles: readonly Tile[];
  readonly notices?: readonly string[];
  readonly sections: readonly HealthSection[];
  /** Names of datasets, which are parts of commands in the texts. */
  readonly names?: readonly string[];
}

/** A page of what exists, what is missing, and how to fix it. */
export async function* renderHealth(report: HealthReport): AsyncGenerator<Html> {
  const assets = await loadAssets();
  const show = commandPrinter(report.names ?? [], report.asTyped);
  const { title, about, date } = report;
  const day = date.toISOString().slice(0, 16).replace('T', ' ');
  yield startPage(assets, { title, about: html`${day} UTC. ${report.asTyped(about)}` });
  yield html`<section class="health" aria-label="Summary">${tileRow(report.tiles)}${(report.notices ?? []).map(notice)}</section>
`;
  for (const [place, section] of report.sections.entries()) yield renderSection(section, place, show);
  yield* endPage(assets, { kind: 'health', objectNames: null, attributeNames: null, normScale: [0, 1] });
}

function renderSection(section: HealthSection, place: number, show: ShowCommands): Html {
  const { title, state, tone, facts, rows = [], problems, command, folded } = section;
  const known = facts?.map(([name, value]) => [name, showAll(value)] as const);
  const table = rows.length > 0 ? renderTable(section, rows, show) : undefined;
  const summary = html`${formatCount(rows.length)} files`;
  return html`<section class="health" aria-labelledby="section-${place}">
<div class="section-head"><h2 id="section-${place}">${showAll(title)}</h2><p>${badge(state, tone)}</p></div>
${command !== undefined && renderCommand(command, show)}${problems.length > 0 && renderProblems(problems, show)}${known !== undefined && html`<div class="panel">${factList(known)}</div>`}${folded === true ? html`<details class="files"><summary>${summary}</summary>${table}</details>` : table}
</section>
`;
}

function renderCommand({ command, before = [] }: HealthCommand, show: ShowCommands): Html {
  const steps = before.map(step => html`<p>${show(step)}</p>`);
  return html`${steps}<p class="command">${show(command)} <button type="button" class="quiet-button copy" hidden>Copy</button></p>
`;
}

function renderProblems(problems: readonly HealthProblem[], showCommands: ShowCommands): Html {
  const items = problems.map(
    ({ where, what, fix }) =>
      html`<li><strong>${showAll(where)}</strong>: ${showAll(what)}<p class="fix">What to do: ${showCommands(fix)}</p></li>`,
  );
  return html`<ul class="problems">${items}</ul>`;
}

function renderTable(
  { title, rowName = 'File', columns = [] }: HealthSection,
  rows: readonly HealthRow[],
  showCommands: ShowCommands,
): Html {
  const heads = [rowName, 'State', ...columns].map(column => html`<th scope="col">${column}</th>`);
  const lines = rows.map(({ what, state, tone, cells }) => {
    const others = cells.map(cell => html`<td>${showCell(cell, showCommands)}</td>`);
    return html`<tr><th scope="row"><code>${showAll(what)}</code></th><td>${badge(state, tone)}</td>${others}</tr>`;
  });
  return html`<div class="scroll-frame"><div class="table-scroll" tabindex="0" role="group" aria-label="Files of ${showAll(title)}"><table>
<thead><tr>${heads}</tr></thead>
<tbody>${lines}</tbody>
</table></div><p class="scroll-hint" aria-hidden="true">More columns: scroll sideways →</p></div>`;
}

function showCell(cell: HealthCell, showCommands: ShowCommands): Html {
  if (typeof cell === 'string') return showCommands(cell);
  const parts = cell.map(({ text, address }) =>
    address === undefined ? showAll(text) : outwardLink(address, showAll(text)),
  );
  return html`${parts}`;
}

function badge(state: string, tone: Tone): Html {
  return html`<span class="state ${tone}">${state}</span>`;
}

type ShowCommands = (text: string) => Html;

/** Sets commands of this tool apart from the sentences they are in, as the user must type them, so that they can be copied. */
function commandPrinter(names: readonly string[], asTyped: HealthReport['asTyped']): ShowCommands {
  const option = '--[a-z-]+(?: [a-z0-9_-]+)?';
  const file = '[^\\s;,]*[/.][^\\s;,]*[^\\s;,.]';
  // The longer names first, as of two that begin alike the shorter one would be found.
  const longest = [...names].sort((a, b) => b.length - a.length);
  const command = new RegExp(`(lxmert-data [a-z-]+(?: (?:${[option, ...longest, file].join('|')}))*)`);
  return text => {
    const parts = text.split(command);
    return html`${parts.map((part, index) => (index % 2 === 1 ? html`<code>${showAll(asTyped(part))}</code>` : showAll(part)))}`;
  };
}
