/** ESLint's rules for page/ and tests/library/. Types are checked by tsc (tsconfig.json). */

import js from "@eslint/js";
import globals from "globals";
import { defineConfig } from "eslint/config";

export default defineConfig([
  {
    // `eslint` without paths lints these and nothing else.
    ignores: [
      "**/*", "!page/", "!page/**", "!eslint.config.js",
      "!tests/", "tests/*", "!tests/library/", "!tests/library/**",
    ],
  },
  {
    files: ["page/**/*.js", "tests/library/**/*.js", "eslint.config.js"],
    extends: [js.configs.recommended],
    linterOptions: { reportUnusedDisableDirectives: "error", reportUnusedInlineConfigs: "error" },
    languageOptions: { ecmaVersion: 2025, sourceType: "module" },
    rules: {
      "array-callback-return": "error",
      "arrow-body-style": "error",
      "camelcase": ["error", { properties: "never" }], // error codes have underscores
      "consistent-return": "error",
      "curly": ["error", "multi-line"],
      "default-case-last": "error",
      "dot-notation": "error",
      "eqeqeq": "error",
      "func-style": ["error", "declaration", { allowArrowFunctions: true }],
      "grouped-accessor-pairs": ["error", "getBeforeSet"],
      "logical-assignment-operators": "error",
      "max-len": ["error", { code: 100, ignoreUrls: true, ignoreStrings: true, ignoreTemplateLiterals: true }],
      "no-alert": "error",
      "no-console": "error",
      "no-constructor-return": "error",
      "no-duplicate-imports": "error",
      "no-else-return": "error",
      "no-eval": "error",
      "no-extend-native": "error",
      "no-implicit-coercion": "error",
      "no-implicit-globals": "error",
      "no-implied-eval": "error",
      "no-lonely-if": "error",
      "no-new-func": "error",
      "no-param-reassign": "error",
      "no-promise-executor-return": "error",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "Set text as text (dom.js)." },
        { property: "outerHTML", message: "Set text as text (dom.js)." },
        { property: "insertAdjacentHTML", message: "Set text as text (dom.js)." },
      ],
      "no-script-url": "error",
      "no-self-compare": "error",
      "no-shadow": "error",
      "no-template-curly-in-string": "error",
      "no-throw-literal": "error",
      "no-undef-init": "error",
      "no-unneeded-ternary": "error",
      "no-unused-expressions": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "no-use-before-define": ["error", { functions: false, classes: false }],
      "no-useless-rename": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "operator-assignment": "error",
      "prefer-arrow-callback": "error",
      "prefer-const": "error",
      "prefer-exponentiation-operator": "error",
      "prefer-object-has-own": "error",
      "prefer-object-spread": "error",
      "prefer-promise-reject-errors": "error",
      "prefer-rest-params": "error",
      "prefer-spread": "error",
      "prefer-template": "error",
      "require-atomic-updates": "error",
      "symbol-description": "error",
      "yoda": "error",
    },
  },
  {
    files: ["page/**/*.js"],
    languageOptions: { globals: globals.browser },
  },
  {
    files: ["tests/library/**/*.js"],
    languageOptions: { globals: globals.node },
  },
]);
