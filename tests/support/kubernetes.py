"""What the tests of the files for Kubernetes ask Python: YAML read, a chart rendered, documents held against the schemas.

    kubernetes.py yaml                           YAML on standard input, as a JSON list of documents
    kubernetes.py helm CHART NAME VALUES         the chart, rendered with VALUES (JSON), likewise
    kubernetes.py lint CHART VALUES              helm's own findings, as JSON
    kubernetes.py validate VERSION               a JSON list on standard input; one line for each fault
"""

import json
import sys

import yaml


def main(verb, *arguments):
    if verb == "yaml":
        print(json.dumps(documents(sys.stdin.read())))
    elif verb == "helm":
        print(json.dumps(rendered(*arguments)))
    elif verb == "lint":
        print(json.dumps(findings(*arguments)))
    elif verb == "validate":
        for document in json.load(sys.stdin):
            fault = fault_of(document, *arguments)
            if fault:
                print(f"{document.get('kind')} {document.get('metadata', {}).get('name')}: {fault}")
    else:
        sys.exit(f"unknown verb {verb}")


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document is not None]


def rendered(chart, name, values):
    import helm_python

    with helm_python.Chart.load(chart) as loaded:
        settings = json.loads(values)
        loaded.validate_schema(settings)
        manifests = loaded.render(settings, name=name, namespace="default")
    return [document for path in sorted(manifests) for document in documents(manifests[path])]


def findings(chart, values):
    import helm_python

    return json.loads(json.dumps(helm_python.lint(chart, values=json.loads(values)), default=vars))


def fault_of(document, version):
    import kubernetes_validate

    try:
        kubernetes_validate.validate(document, version, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return error.message
    return None


main(*sys.argv[1:])
