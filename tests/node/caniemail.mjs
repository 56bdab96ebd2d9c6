// What mail programs are not known to support in the files that are named:
// prints {level: {feature: [client, …]}}, where a "warning" is partial support and an "error" none.
import { readFileSync } from "node:fs";
import { caniemail } from "caniemail";

const clients = ["gmail", "apple-mail", "outlook", "yahoo", "thunderbird", "protonmail", "fastmail"];
const found = { error: {}, warning: {} };
for (const file of process.argv.slice(2)) {
  const { issues } = caniemail({ clients: clients.map((name) => `${name}.*`), html: readFileSync(file, "utf8") });
  for (const [level, byClient] of [["error", issues.errors], ["warning", issues.warnings]]) {
    for (const [client, list] of byClient) {
      for (const { title } of list) (found[level][title] ??= new Set()).add(client);
    }
  }
}
console.log(JSON.stringify(found, (_, value) => (value instanceof Set ? [...value].sort() : value)));
