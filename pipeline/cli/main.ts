import { keepCompiledModules } from './compiled-modules.ts';

// Whatever is imported before this is compiled anew by every command, so all else is imported after it.
keepCompiledModules();
const { runCommandLine } = await import('./run-command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
