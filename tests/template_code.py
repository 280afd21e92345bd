"""What the Rust sources say about themselves that template.yaml must say too: settings, permissions, metrics, the table's schema.

Sources are read as text, so no compiler is needed. It must never guess: a constant that is not found is a fault.
"""

import functools
import json
import pathlib
import re

# SDK calls that are allowed by an action of another name (service authorization reference of S3 and DynamoDB).
BY_ANOTHER_NAME = {
    "s3:HeadObject": {"s3:GetObject"},
    "s3:GetObjectAttributes": {"s3:GetObject", "s3:GetObjectAttributes"},
    "s3:CopyObject": {"s3:GetObject", "s3:PutObject"},
    "s3:HeadBucket": {"s3:ListBucket"},
    "s3:ListObjectsV2": {"s3:ListBucket"},
    # Creating with a tag or a retention asks for these too.
    "s3:PutObject": {"s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectRetention"},
    "s3:CreateMultipartUpload": {"s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectRetention"},
    "s3:UploadPart": {"s3:PutObject"},
    "s3:CompleteMultipartUpload": {"s3:PutObject"},
    "s3:ListParts": {"s3:ListMultipartUploadParts"},
    "s3:ListMultipartUploads": {"s3:ListBucketMultipartUploads"},
    "dynamodb:TransactWriteItems": {
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "dynamodb:ConditionCheckItem",
    },
    "dynamodb:TransactGetItems": {"dynamodb:GetItem"},
    "dynamodb:BatchWriteItem": {"dynamodb:BatchWriteItem"},
    "execute-api:PostToConnection": {"execute-api:ManageConnections"},
    "execute-api:DeleteConnection": {"execute-api:ManageConnections"},
}

ADAPTERS = [
    ("dynamodb", "shared/aws/src/dynamodb*"),
    ("dynamodb", "shared/aws/src/calls*"),
    ("s3", "shared/aws/src/s3*"),
    ("secretsmanager", "shared/aws/src/secrets*"),
    ("execute-api", "shared/aws/src/sockets*"),
    ("sns", "shared/aws/src/topic.rs"),
]


class Code:
    """The repository's sources."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.faults = []
        self.functions = sorted(path.parent.name for path in self.root.glob("functions/*/Cargo.toml"))
        if not self.functions:
            self.faults.append("there are no functions in functions/")

    @functools.cache
    def settings(self, function):
        """The environment variables that a function reads (`SETTINGS` in its lib.rs)."""
        text = self._text(f"functions/{function}/src/lib.rs")
        found = re.search(r"pub const SETTINGS: &\[&str\] =\s*&\[(.*?)\];", text, re.S)
        if not found:
            self.faults.append(f"functions/{function}/src/lib.rs has no `pub const SETTINGS: &[&str] = &[...]`")
            return set()
        return set(re.findall(r'"([A-Z0-9_]+)"', re.sub(r"//.*", "", found.group(1))))

    @functools.cache
    def actions(self, function):
        """The actions that a function says its code calls (its permissions.json)."""
        text = self._text(f"functions/{function}/permissions.json")
        return set(json.loads(text)["actions"]) if text else set()

    @functools.cache
    def metrics(self):
        """Namespace and names of the metrics that functions emit."""
        constants = self._constants("shared/bootstrap/src/metrics.rs", "shared/bootstrap/src/metrics/*.rs")
        return constants.get("NAMESPACE"), set(constants.values())

    @functools.cache
    def dimensions(self):
        """The sets of dimensions of each metric, from the table in the head of metrics.rs."""
        sets = {}
        for line in self._text("shared/bootstrap/src/metrics.rs").splitlines():
            cells = [cell.strip() for cell in line.removeprefix("//!").split("|")]
            if line.startswith("//! | `") and len(cells) > 3:
                for name in re.findall(r"`(\w+)`", cells[1]):
                    sets[name] = [frozenset(one.strip().split(" and ")) for one in cells[2].split(";")]
        return sets

    @functools.cache
    def schema(self, table="dynamodb"):
        """A table's names, by the constants of the adapter's `schema` module; what tables share stands in the ledger's."""
        return self._constants("shared/aws/src/dynamodb/schema.rs", f"shared/aws/src/{table}/schema.rs")

    @functools.cache
    def calls(self):
        """Actions that the adapters' SDK calls need, found by the calls themselves."""
        actions = set()
        for service, pattern in ADAPTERS:
            text = "".join(path.read_text() for path in self._files(pattern))
            for call in re.findall(r"\.(query|scan|publish|[a-z0-9]+(?:_[a-z0-9]+)+)\(\s*\)", text):
                name = f"{service}:{''.join(word.capitalize() for word in call.split('_'))}"
                actions |= BY_ANOTHER_NAME.get(name, {name})
        return actions

    @functools.cache
    def counted(self):
        """The figures of the cost note."""
        text = self._text("infra/measured.json")
        return {name: one["value"] for name, one in json.loads(text)["values"].items()} if text else {}

    @functools.cache
    def headings(self, document):
        """Headings of a document."""
        return set(re.findall(r"^#+ (.+)$", self._text(document), re.M))

    def _files(self, pattern):
        for path in sorted(self.root.glob(pattern)):
            yield from sorted(path.rglob("*.rs")) if path.is_dir() else [path]

    def _constants(self, *patterns):
        files = [path for pattern in patterns for path in self.root.glob(pattern)]
        if not files:
            self.faults.append(f"{patterns[0]} is not there")
        text = "".join(path.read_text() for path in files)
        return dict(re.findall(r'(?:pub(?:\(crate\))? )?const ([A-Z_]+): &str =\s*"([^"]*)";', text))

    def _text(self, path):
        file = self.root / path
        if not file.exists():
            self.faults.append(f"{path} is not there")
            return ""
        return file.read_text()
