// What finds faults: promises nobody waits for, values of the wrong kind, markup that Svelte would get wrong. How code is
// laid out is Prettier's, and what is a matter of taste stays out. Paths are read from the repository's root.
import js from "@eslint/js";
import svelte from "eslint-plugin-svelte";
import globals from "globals";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, globalIgnores } from "eslint/config";
import typescript from "typescript-eslint";

const here = dirname(fileURLToPath(import.meta.url));
const types = (project) => ({ project, tsconfigRootDir: here, extraFileExtensions: [".svelte"] });

const faults = {
  eqeqeq: ["error", "always", { null: "ignore" }],
  "@typescript-eslint/no-unused-vars": ["error", { varsIgnorePattern: "^_$", argsIgnorePattern: "^_" }],
  "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
};

export default defineConfig(
  globalIgnores(["**/node_modules", "ui/dist", "ui/src/backend/types.ts"]),
  {
    files: ["ui/src/**/*.ts", "ui/src/**/*.svelte"],
    extends: [js.configs.recommended, typescript.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: types("./tsconfig.json"), globals: globals.browser },
    rules: {
      ...faults,
      // The program's refusals are plain data, and are thrown as such.
      "@typescript-eslint/only-throw-error": ["error", { allow: [{ from: "file", name: "Problem" }] }],
      "no-restricted-syntax": [
        "error",
        {
          selector: "CallExpression[callee.object.name='backend'][typeArguments]",
          message: "What a command takes and gives follows from its name: see Commands in backend/types.ts.",
        },
      ],
    },
  },
  {
    files: ["ui/src/**/*.ts", "ui/src/**/*.svelte"],
    ignores: ["ui/src/backend/**"],
    rules: {
      "no-restricted-imports": [
        "error",
        { patterns: [{ group: ["@tauri-apps/*"], message: "Only ui/src/backend may." }] },
      ],
      "no-restricted-globals": ["error", { name: "fetch", message: "The program is asked through backend.call." }],
    },
  },
  // After the plain rules, whose parser reads no markup.
  svelte.configs.recommended,
  {
    files: ["ui/src/**/*.svelte", "ui/src/**/*.svelte.ts"],
    languageOptions: { parserOptions: { ...types("./tsconfig.json"), parser: typescript.parser } },
    rules: {
      // `let` is how Svelte declares what a component is given.
      "prefer-const": "off",
      "svelte/prefer-const": "error",
      // {" "} keeps a space at the end of a line.
      "svelte/no-useless-mustaches": "off",
    },
  },
  {
    files: ["tests/**/*.mjs"],
    extends: [js.configs.recommended, typescript.configs.recommendedTypeChecked],
    // What stands inside page.evaluate runs in the page.
    languageOptions: {
      parserOptions: types("./tsconfig.tests.json"),
      globals: { ...globals.node, ...globals.browser },
    },
    // Plain JavaScript: what pages and answers are is not declared, so every use of them would be a complaint.
    rules: {
      ...faults,
      "no-undef": "error",
      "@typescript-eslint/no-base-to-string": "off",
      "@typescript-eslint/restrict-template-expressions": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
    },
  },
);
