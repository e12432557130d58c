// Holds documents (a JSON list on standard input) against the Prometheus operator's schemas; one line for each fault.
//
//     node kubernetes.mjs FOLDER        FOLDER has the node_modules
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const models = `${process.argv[2]}/node_modules/@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1`;
for (const document of JSON.parse(readFileSync(0, "utf8"))) {
  const model = (await import(pathToFileURL(`${models}/${document.kind}.js`)))[document.kind];
  try {
    new model(document).validate();
  } catch (error) {
    console.log(`${document.kind} ${document.metadata?.name}: ${error.message}`);
  }
}
