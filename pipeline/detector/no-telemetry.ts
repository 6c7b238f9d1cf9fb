/**
 * Switches off what onnxruntime sends to its maker. Its library reads this variable of the process when it is loaded;
 * without it, it reads the machine's id, looks up a host and writes files into the home folder and /tmp. Must be
 * imported before onnxruntime, in the main thread too: what a worker thread sets in `process.env` stays in JavaScript.
 */
process.env['ORT_DISABLE_TELEMETRY'] = '1';
