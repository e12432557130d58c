"""Holds configurations against a JSON schema.

    schema.py SCHEMA        a JSON list of [NAME, TEXT] on standard input; one line for each fault
"""

import json
import sys
import tomllib

from jsonschema import Draft202012Validator


def main(path):
    with open(path, encoding="utf-8") as file:
        schema = json.load(file)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for name, text in json.load(sys.stdin):
        try:
            faults = [fault.json_path + ": " + fault.message for fault in validator.iter_errors(tomllib.loads(text))]
        except tomllib.TOMLDecodeError as error:
            faults = [f"no TOML: {error}"]
        for fault in faults:
            print(f"{name}: {fault}")


main(sys.argv[1])
