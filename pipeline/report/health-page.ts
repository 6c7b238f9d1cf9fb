import { loadAssets } from './assets.ts';
import { type Html, html } from './html.ts';
import { endPage, factList, notice, startPage, type Tile, tileRow } from './page.ts';
import { showAll } from '../show-text.ts';

export type Tone = 'good' | 'warn' | 'bad' | 'plain';

export interface HealthRow {
  readonly what: string;
  readonly state: string;
  readonly tone: Tone;
  /** Under the names of the section's columns. */
  readonly cells: readonly string[];
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
}

export interface HealthReport {
  readonly title: string;
  readonly about: string;
  readonly tiles: readonly Tile[];
  readonly notices?: readonly string[];
  readonly sections: readonly HealthSection[];
  /** Names of datasets, which are parts of commands in the texts. */
  readonly names?: readonly string[];
}

/** A page of what exists, what is missing, and how to fix it. */
export async function* renderHealth(report: HealthReport): AsyncGenerator<Html> {
  const assets = await loadAssets();
  const show = commandPrinter(report.names ?? []);
  yield startPage(assets, { title: report.title, about: html`${report.about}` });
  yield html`<section class="health" aria-label="Summary">${tileRow(report.tiles)}${(report.notices ?? []).map(notice)}</section>
`;
  for (const [place, section] of report.sections.entries()) yield renderSection(section, place, show);
  yield* endPage(assets, { kind: 'health', objectNames: null, attributeNames: null, normScale: [0, 1] });
}

function renderSection(section: HealthSection, place: number, show: ShowCommands): Html {
  const { title, state, tone, facts, rows, problems } = section;
  const known = facts?.map(([name, value]) => [name, showAll(value)] as const);
  return html`<section class="health" aria-labelledby="section-${place}">
<div class="section-head"><h2 id="section-${place}">${showAll(title)}</h2><p>${badge(state, tone)}</p></div>
${problems.length > 0 && renderProblems(problems, show)}${known !== undefined && html`<div class="panel">${factList(known)}</div>`}${rows !== undefined && rows.length > 0 && renderTable(section, rows, show)}
</section>
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
    const others = cells.map(cell => html`<td>${showCommands(cell)}</td>`);
    return html`<tr><th scope="row"><code>${showAll(what)}</code></th><td>${badge(state, tone)}</td>${others}</tr>`;
  });
  return html`<div class="table-scroll" tabindex="0" role="group" aria-label="Files of ${showAll(title)}"><table>
<thead><tr>${heads}</tr></thead>
<tbody>${lines}</tbody>
</table></div>`;
}

function badge(state: string, tone: Tone): Html {
  return html`<span class="state ${tone}">${state}</span>`;
}

type ShowCommands = (text: string) => Html;

/** Sets commands of this tool apart from the sentences they are in, so that they can be copied. */
function commandPrinter(names: readonly string[]): ShowCommands {
  const option = '--[a-z-]+(?: [a-z0-9_-]+)?';
  const file = '[^\\s;,]*[/.][^\\s;,]*[^\\s;,.]';
  const command = new RegExp(`(lxmert-data [a-z-]+(?: (?:${[option, ...names, file].join('|')}))*)`);
  return text => {
    const parts = text.split(command);
    return html`${parts.map((part, index) => (index % 2 === 1 ? html`<code>${showAll(part)}</code>` : showAll(part)))}`;
  };
}
