/** Checks of JSON from outside: manifests, lock files, answers of mirrors. The one place that names the library. */
export * as v from 'valibot';
