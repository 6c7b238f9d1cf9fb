import tseslint from 'typescript-eslint';

const ATOMIC = 'Final names are given by pipeline/files/atomic.ts alone.';

export default tseslint.config(
  { ignores: ['dist/', 'data/', 'node_modules/', '.venv/', 'api/', 'coverage/', 'dist-release/'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.mjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      'no-console': 'error',
      'no-restricted-syntax': ['error', 'TSEnumDeclaration', 'ExportDefaultDeclaration'],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    files: ['pipeline/**/*.ts', 'scripts/**/*.ts'],
    rules: {
      complexity: ['error', 12],
      'max-depth': ['error', 3],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 4],
      'no-restricted-syntax': [
        'error',
        'TSEnumDeclaration',
        'ExportDefaultDeclaration',
        {
          // The number of arguments is limited: 125,000 work, 150,000 do not.
          selector:
            'CallExpression[callee.object.name="Math"][callee.property.name=/^(min|max)$/] > SpreadElement',
          message: 'Reduce in one pass: Math.min(...array) fails for long arrays.',
        },
      ],
    },
  },
  {
    // Loops over rows, columns and channels, written out for speed.
    files: ['pipeline/detector/image/network-input.ts', 'pipeline/inspection/survey-rows.ts'],
    rules: { 'max-depth': 'off' },
  },
  {
    files: ['pipeline/**/*.ts'],
    ignores: ['pipeline/files/atomic.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: 'node:fs',
              importNames: ['rename', 'renameSync', 'promises', 'default'],
              message: ATOMIC,
            },
            { name: 'node:fs/promises', importNames: ['rename', 'default'], message: ATOMIC },
            { name: 'fs', message: ATOMIC },
            { name: 'fs/promises', message: ATOMIC },
          ],
        },
      ],
    },
  },
  {
    files: ['**/*.mjs'],
    ...tseslint.configs.disableTypeChecked,
    rules: {
      ...tseslint.configs.disableTypeChecked.rules,
      'no-restricted-syntax': 'off',
      'no-console': 'off',
    },
  },
);
