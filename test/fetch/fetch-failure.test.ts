import test from 'ava';
import { listManualWays } from '../../pipeline/fetch/fetch-failure.ts';
import { assetOf, loadManifest, orderSources } from '../../pipeline/manifest/load.ts';

test('what to do by hand names the address, the path and the id, and no mirror that is gone', async t => {
  const manifest = await loadManifest();
  for (const name of Object.keys(manifest.assets)) {
    const asset = assetOf(manifest, name);
    for (const way of listManualWays(manifest, orderSources(manifest, asset), asset))
      t.notRegex(way, /\bthe (address|link)\b|\/d\/ID\/|download the file/, `${name}: ${way}`);
  }
  const features = assetOf(manifest, 'mscoco_imgfeat/train2014_obj36');
  const ways = listManualWays(manifest, orderSources(manifest, features), features);
  t.regex(
    ways[0] ?? '',
    /open https:\/\/nlp\.cs\.unc\.edu\/data\/lxmert_data\/mscoco_imgfeat\/train2014_obj36\.zip/,
  );
  t.true(ways.some(way => /drive\.google\.com\/file\/d\/[\w-]{20,}\/view/.test(way)));
  t.false(ways.some(way => way.includes('nlp1')));
});
