// Runs the unit tests with Node's own test runner; esbuild compiles them first.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const source = join(dirname(fileURLToPath(import.meta.url)), '..', 'src');
const tests = readdirSync(source, { recursive: true }).filter((name) => /\.test\.tsx?$/.test(name));
const folder = mkdtempSync(join(tmpdir(), 'dashboard-tests-'));
try {
  await build({
    entryPoints: tests.map((name) => join(source, name)),
    bundle: true,
    format: 'esm',
    jsx: 'automatic',
    logLevel: 'warning',
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    outbase: source,
    platform: 'node',
    sourcemap: 'inline',
  });
  const compiled = tests.map((name) => join(folder, name.replace(/\.tsx?$/, '.mjs')));
  const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...compiled], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true });
}
