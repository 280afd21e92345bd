"""template.yaml as CloudFormation will see it: translated by SAM's own translator, then rendered for given parameters.

Rendering evaluates conditions, drops what they leave out, puts parameters' values in, and turns references into text: `Table`,
`Table.Arn`. It must never ask AWS anything, and knows nothing of what is right: that is template_check.py's.
"""

import logging
import os
import pathlib
import re

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
# The translator collects figures about itself that only SAM's own service publishes, and warns that nobody did.
logging.getLogger("samtranslator").setLevel(logging.ERROR)

from samcli.yamlhelper import yaml_parse  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402

GONE = object()
PSEUDO = {
    "AWS::StackName": "stack",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}


class NoManagedPolicies:
    """SAM wants to know the names of AWS's managed policies. We use none, so there is nothing to look up."""

    def load(self):
        """No policies."""
        return {}


class Template:
    """A template, translated once, to be rendered for any parameters."""

    def __init__(self, text):
        self.text = text
        template = yaml_parse(text)
        for one in template["Resources"].values():
            if one["Type"] == "AWS::Serverless::Function":
                # `sam deploy` puts the address of the uploaded file here.
                one["Properties"]["CodeUri"] = "s3://code/" + one["Properties"]["CodeUri"]
        self.parameters = template["Parameters"]
        # Parameters stay references, so that every variant is rendered by the same rules: ours.
        self.translated = transform(template, {}, NoManagedPolicies())


class Rendered:
    """The stack that these parameters make. `faults` are references that lead nowhere."""

    def __init__(self, template, parameters):
        self.text = template.text
        self.declared = template.parameters
        self.parameters = {
            name: str(parameters.get(name, one.get("Default", ""))) for name, one in self.declared.items()
        }
        self.faults = [f"there is no parameter {name}" for name in sorted(parameters.keys() - self.declared.keys())]
        self.conditions = template.translated.get("Conditions", {})
        every = template.translated["Resources"]
        self.there = {name for name, one in every.items() if "Condition" not in one or self._holds(one["Condition"])}
        self.every = set(every)
        self.resources = {name: self._render(every[name], name) for name in sorted(self.there)}
        outputs = template.translated.get("Outputs", {}).items()
        outputs = {name: one for name, one in outputs if "Condition" not in one or self._holds(one["Condition"])}
        self.outputs = self._render(outputs, "Outputs")

    def of(self, kind):
        """Resources of a type, by name."""
        return {name: one for name, one in self.resources.items() if one["Type"] == kind}

    def _holds(self, name):
        return self._condition(self.conditions[name])

    def _condition(self, node):
        (word, value), = node.items()
        match word:
            case "Condition":
                return self._holds(value)
            case "Fn::Not":
                return not self._condition(value[0])
            case "Fn::And":
                return all(self._condition(one) for one in value)
            case "Fn::Or":
                return any(self._condition(one) for one in value)
            case "Fn::Equals":
                left, right = (self._render(one, "Conditions") for one in value)
                return str(left) == str(right)
        raise ValueError(f"a condition's {word} is not known here")

    def _render(self, node, where):
        if isinstance(node, list):
            return [one for one in (self._render(one, where) for one in node) if one is not GONE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (word, value), = node.items()
            match word:
                case "Ref":
                    return self._name(value, where)
                case "Fn::GetAtt":
                    name, attribute = value.split(".", 1) if isinstance(value, str) else value
                    return f"{self._name(name, where)}.{attribute}"
                case "Fn::If":
                    return self._render(value[1] if self._holds(value[0]) else value[2], where)
                case "Fn::Sub":
                    return self._substitute(value, where)
                case "Fn::Join":
                    return value[0].join(str(one) for one in self._render(value[1], where))
        # AWS itself reads the policies' `Condition` as this; only a resource's own is CloudFormation's.
        rendered = {key: self._render(value, where) for key, value in node.items()}
        return {key: value for key, value in rendered.items() if value is not GONE}

    def _substitute(self, value, where):
        text, own = value if isinstance(value, list) else (value, {})

        def one(found):
            name = found.group(1)
            if name in own:
                return str(self._render(own[name], where))
            base, dot, attribute = name.partition(".")
            return f"{self._name(base, where)}{dot}{attribute}"

        return re.sub(r"\$\{([A-Za-z0-9:.]+)\}", one, text)

    def _name(self, name, where):
        if name == "AWS::NoValue":
            return GONE
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        if name not in self.there:
            why = "is left out by its condition" if name in self.every else "does not exist"
            self.faults.append(f"{where} refers to {name}, which {why}")
        return name


def listed(value):
    """A list, also where one item may stand for it."""
    return value if isinstance(value, list) else [value]


def functions(stack):
    """Functions by the name of their crate."""
    found = [(name, one["Properties"]) for name, one in stack.of("AWS::Lambda::Function").items()]
    return {one["FunctionName"].removeprefix("stack-"): (name, one) for name, one in found}


def statements(stack, role):
    """All statements of a role; none of one that a condition leaves out, which is a fault of its own."""
    if role not in stack.resources:
        return []
    properties = stack.resources[role]["Properties"]
    documents = [one["PolicyDocument"] for one in properties.get("Policies", [])]
    for policy in properties.get("ManagedPolicyArns", []):
        documents.append(stack.resources[policy]["Properties"]["PolicyDocument"])
    return [one for document in documents for one in document["Statement"]]


def source(root):
    """The template's text."""
    return pathlib.Path(root, "template.yaml").read_text()
