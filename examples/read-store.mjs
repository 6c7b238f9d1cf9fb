// Reads a store from Node.js: node examples/read-store.mjs STORE [IMG_ID]
import { openStore } from 'lxmert-data';

const [path, imgId] = process.argv.slice(2);
if (path === undefined) {
  console.error('usage: node read-store.mjs STORE [IMG_ID]');
  process.exit(2);
}
const store = await openStore(path);
console.log(`${store.rows} images, ${store.dtype}`);
const row = await store.row(imgId ?? 0);
console.log(`${row.imgId}: ${row.width} x ${row.height}, features of ${row.features.length / 2048} boxes`);
let largest = 0;
let best = '';
for await (const { imgId: id, features } of store.sequence()) {
  const value = features.reduce((a, b) => Math.max(a, b), 0);
  if (value > largest) [largest, best] = [value, id];
}
console.log(`largest feature: ${largest.toFixed(3)}, in ${best}`);
await store.close();
