/** Something in a drawn scene: what a detector would call it, where it is, and how it is drawn. Pixels of a 640 x 480 picture. */
export interface SceneThing {
  readonly object: string;
  readonly attribute: string;
  readonly confidence: number;
  readonly box: readonly [x1: number, y1: number, x2: number, y2: number];
  readonly svg: string;
}

export const SCENE = { width: 640, height: 480 } as const;

/** A street with a house on a summer's day: 36 things to be found. */
export function drawScene(): { readonly svg: string; readonly things: readonly SceneThing[] } {
  const things: SceneThing[] = [];
  const add = (
    object: string,
    attribute: string,
    confidence: number,
    box: SceneThing['box'],
    svg = '',
  ): void => void things.push({ object, attribute, confidence, box, svg });
  const rect = (x: number, y: number, width: number, height: number, fill: string, more = ''): string =>
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${fill}" ${more}/>`;
  const circle = (x: number, y: number, r: number, fill: string): string =>
    `<circle cx="${x}" cy="${y}" r="${r}" fill="${fill}"/>`;
  const path = (d: string, fill: string): string => `<path d="${d}" fill="${fill}"/>`;
  const cloud = (x: number, y: number, size: number): string =>
    circle(x, y, size, '#fff') +
    circle(x + size, y - size * 0.35, size * 1.2, '#fff') +
    circle(x + size * 2.2, y, size * 0.95, '#f4f7fa');

  add('sky', 'blue', 0.93, [0, 0, 639.2, 236], rect(0, 0, 640, 300, 'url(#sky)'));
  add(
    'sun',
    'bright',
    0.52,
    [520, 32, 588, 100],
    circle(554, 66, 34, '#ffe08a') + circle(554, 66, 27, '#ffd45e'),
  );
  add('cloud', 'white', 0.71, [84, 34, 206, 94], cloud(112, 68, 26));
  add('clouds', 'white', 0.48, [338, 22, 434, 70], cloud(360, 50, 20));
  add(
    'mountain',
    'distant',
    0.57,
    [250, 116, 639.2, 244],
    path('M230 244 L360 136 L430 190 L520 116 L660 244Z', '#8fa8c2') +
      path('M500 132 L520 116 L543 138 L526 146 L514 138Z', '#eef3f8'),
  );
  add('hill', 'green', 0.33, [0, 192, 412, 262], path('M-20 262 Q150 150 420 262Z', '#7fae74'));
  add('grass', 'green', 0.86, [0, 236, 639.2, 372], rect(0, 240, 640, 140, 'url(#grass)'));
  add('house', 'red', 0.88, [60, 128, 286, 346]);
  add(
    'roof',
    'gray',
    0.69,
    [44, 128, 302, 216],
    path('M44 216 L172 128 L302 216Z', '#5b6472') + path('M58 216 L172 139 L288 216Z', '#6b7686'),
  );
  add(
    'chimney',
    'brick',
    0.44,
    [228, 124, 256, 184],
    rect(228, 124, 28, 58, '#a0523d') + rect(224, 120, 36, 9, '#7e3f2e'),
  );
  add(
    'wall',
    'red',
    0.41,
    [66, 214, 282, 344],
    rect(66, 214, 216, 130, '#c05d46') + rect(66, 214, 216, 9, '#a94e39'),
  );
  add(
    'door',
    'brown',
    0.74,
    [154, 262, 198, 344],
    rect(154, 262, 44, 82, '#5f3b27', 'rx="3"') + circle(190, 306, 2.6, '#e7c873'),
  );
  const window = (x: number, y: number): string =>
    rect(x, y, 44, 42, '#f6f1e6', 'rx="2"') +
    rect(x + 4, y + 4, 16, 34, '#a9d3ea') +
    rect(x + 24, y + 4, 16, 34, '#bfe0f1');
  add('window', 'closed', 0.81, [86, 242, 130, 284], window(86, 242));
  add('window', 'white', 0.78, [222, 242, 266, 284], window(222, 242));
  add(
    'window',
    'round',
    0.31,
    [152, 172, 192, 208],
    circle(172, 190, 18, '#f6f1e6') + circle(172, 190, 13, '#a9d3ea'),
  );
  add(
    'bush',
    'green',
    0.42,
    [62, 312, 148, 352],
    circle(84, 336, 18, '#3f7d4a') + circle(108, 330, 21, '#4b8d56') + circle(132, 338, 16, '#3f7d4a'),
  );
  add(
    'flowers',
    'pink',
    0.38,
    [208, 322, 274, 350],
    [216, 230, 244, 258, 268]
      .map((x, i) => circle(x, 336 - (i % 2) * 7, 5.5, ['#e86a92', '#f2a2b9'][i % 2]!))
      .join(''),
  );
  add(
    'tree',
    'tall',
    0.9,
    [374, 92, 500, 342],
    rect(428, 230, 20, 110, '#6b4a2f') +
      circle(406, 190, 38, '#3f8a4e') +
      circle(468, 186, 40, '#37804a') +
      circle(438, 138, 48, '#4c9a5b') +
      circle(436, 204, 42, '#45914f'),
  );
  add('trunk', 'brown', 0.46, [424, 228, 452, 342]);
  add('leaves', 'green', 0.55, [368, 90, 508, 250]);
  add(
    'tree',
    'small',
    0.63,
    [548, 190, 622, 330],
    rect(580, 270, 11, 58, '#6b4a2f') + path('M585 190 L622 290 L548 290Z', '#2f7050'),
  );
  add(
    'fence',
    'wooden',
    0.61,
    [296, 290, 560, 352],
    Array.from({ length: 17 }, (_, i) => rect(300 + i * 15.6, 296, 8, 54, '#efe6d2', 'rx="2"')).join('') +
      rect(296, 308, 264, 6, '#e2d6bb') +
      rect(296, 332, 264, 6, '#e2d6bb'),
  );
  add(
    'sidewalk',
    'gray',
    0.58,
    [0, 350, 639.2, 382],
    rect(0, 352, 640, 28, '#c9c8c2') + rect(0, 378, 640, 5, '#a9a8a2'),
  );
  add('road', 'paved', 0.79, [0, 378, 639.2, 479.2], rect(0, 382, 640, 100, '#5d6066'));
  add(
    'line',
    'white',
    0.35,
    [0, 436, 639.2, 448],
    [20, 140, 260, 380, 500, 620].map(x => rect(x, 440, 66, 5, '#e8e6dc')).join(''),
  );
  add(
    'shadow',
    'dark',
    0.29,
    [286, 432, 532, 458],
    '<ellipse cx="410" cy="446" rx="122" ry="11" fill="#000" opacity="0.28"/>',
  );
  add(
    'car',
    'yellow',
    0.95,
    [290, 352, 530, 452],
    path(
      'M296 424 Q296 398 326 394 L352 366 Q360 357 376 357 L446 357 Q462 357 472 367 L494 392 L516 398 Q528 402 528 424 L528 432 L296 432Z',
      '#f0b429',
    ),
  );
  add(
    'windshield',
    'clear',
    0.43,
    [452, 362, 492, 396],
    path('M450 364 Q460 364 466 371 L486 394 L450 394Z', '#cfe6f2'),
  );
  add(
    'window',
    'tinted',
    0.4,
    [352, 362, 446, 396],
    path('M374 364 L402 364 L402 394 L350 394 Q356 384 366 370Z', '#b9d6e6') +
      path('M409 364 L443 364 L443 394 L409 394Z', '#b9d6e6'),
  );
  const wheel = (x: number): string => circle(x, 430, 21, '#25282d') + circle(x, 430, 10, '#c3c8cf');
  add('wheel', 'round', 0.83, [324, 409, 366, 451], wheel(345));
  add('tire', 'black', 0.64, [458, 409, 500, 451], wheel(479));
  add('headlight', 'round', 0.47, [510, 402, 528, 418], circle(519, 410, 7, '#fff4c7'));
  add(
    'woman',
    'walking',
    0.84,
    [572, 296, 614, 400],
    path('M582 336 Q592 322 604 336 L611 372 L576 372Z', '#7a4fb5') +
      rect(584, 370, 8, 28, '#33405a') +
      rect(596, 370, 8, 28, '#33405a'),
  );
  add(
    'hair',
    'brown',
    0.37,
    [580, 296, 606, 324],
    circle(593, 311, 13, '#6a4128') + circle(594, 314, 9.5, '#f0c6a3'),
  );
  add(
    'shoes',
    'black',
    0.28,
    [580, 394, 608, 402],
    rect(582, 395, 12, 6, '#1b1d22', 'rx="3"') + rect(595, 395, 12, 6, '#1b1d22', 'rx="3"'),
  );
  add(
    'dog',
    'small',
    0.66,
    [520, 362, 564, 402],
    path(
      'M526 376 Q528 370 536 371 L552 371 L554 364 L560 362 L564 371 L559 376 L557 388 L558 400 L553 400 L551 389 L535 389 L533 400 L528 400 L529 386Z',
      '#8a5a3a',
    ),
  );

  const gradients = `<defs><linearGradient id="sky" x2="0" y2="1"><stop stop-color="#6db7ea"/><stop offset="1" stop-color="#d8eefa"/></linearGradient><linearGradient id="grass" x2="0" y2="1"><stop stop-color="#86c06c"/><stop offset="1" stop-color="#6aa856"/></linearGradient></defs>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${SCENE.width}" height="${SCENE.height}">${gradients}${things.map(thing => thing.svg).join('')}</svg>`;
  return { svg, things };
}
