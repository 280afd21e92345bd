#!/usr/bin/env python3
"""Holds template.yaml, as SAM translates it, against the code and against what a deployment must have. Run by `make template`.

usage: template_check.py [ROOT]

Every check is a function from the rendered stack and the code to faults, in words. They are run for several sets of
parameters: what is conditional must be right with and without. `template_mutations.py` sees each of them go red.
"""

import json
import pathlib
import re
import sys

from template_calls import calls_are_closed, calls_are_kept, changes_are_told, the_page_is_strict
from template_code import Code
from template_jobs import the_jobs_api_is_closed
from template_notify import days_are_told_to_their_topic
from template_rendered import Rendered, Template, functions, listed, source, statements
from template_tokens import tokens_are_renewed_and_not_lost
from template_voicemail import voicemail_is_told_of

REQUIRED = {
    "GenesysRegion": "mypurecloud.ie",
    "GenesysSecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:callvault/prod/genesys-AbCdEf",
}
# Parameters that change which resources there are, each turned from its default.
VARIANTS = {
    "as it comes": {},
    "everything on": {
        "ArchivePrefix": "recordings/genesys",
        "ObjectTags": "team=quality",
        "TransitionDays": 30,
        "ExpireDays": 3650,
        "ObjectLockDays": 365,
        "UploadReservedConcurrency": 20,
        "OtherReservedConcurrency": 2,
        "AlarmEmail": "somebody@example.com",
        "Architecture": "x86_64",
        "Voicemail": "yes",
        "VoicemailEventBus": "aws.partner/genesys.com/cloud/32aa07aa/callvault",
        "VoicemailEventQueueIds": "7b1d6c0a-1111-4222-8333-444455556666",
        "VoicemailQueues": "7b1d6c0a-1111-4222-8333-444455556666",
        "JobsApi": "yes",
        "NotifyTopicArn": "arn:aws:sns:eu-west-1:123456789012:days",
        "NotifyUrl": "https://hooks.example.com/x",
        "Calls": "yes",
        "CallsPage": "yes",
    },
    "the jobs API by JWT": {
        "AlarmEmail": "somebody@example.com",
        "JobsApi": "yes",
        "JobsApiJwtIssuer": "https://issuer.example.com/",
        "JobsApiJwtAudience": "callvault",
        "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/theirs",
    },
    "voicemail without events": {"Voicemail": "yes"},
    "calls, stopped": {"Calls": "yes", "Running": "no"},
    "a page without calls": {"CallsPage": "yes"},
    "own bucket, own key, stopped": {
        "ArchiveBucket": "their-archive",
        "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/theirs",
        "NoncurrentDays": 0,
        "Running": "no",
        "Voicemail": "yes",
        "VoicemailEventBus": "aws.partner/genesys.com/cloud/32aa07aa/callvault",
    },
}
# Settings that functions know and that a deployment never sets.
NOT_DEPLOYED = {
    "GENESYS_URL": "tests and simulators only",
    "GENESYS_CLIENT_ID": "the secret has it",
    "GENESYS_CLIENT_SECRET": "the secret has it",
}
# What other services do in a function's name, with its role. No code of ours calls it.
ON_BEHALF = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}
STREAM = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"}
# Only within a call to the service that keeps the encrypted thing: every statement has `kms:ViaService`.
KEYS = {"kms:Decrypt", "kms:GenerateDataKey"}
KEPT = {
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::KMS::Key",
    "AWS::SecretsManager::Secret",
}
LAMBDA_METRICS = {"Errors", "Throttles", "Invocations", "Duration", "ConcurrentExecutions", "IteratorAge"}
SEARCH = r"""SEARCH\('\{(\w+),([\w,]+)\} MetricName="(\w+)" environment="([\w-]+)"', '\w+', \d+\)"""
STAGES = {"query", "submit", "poll", "describe", "upload", "close", "voicemail", "notify"}
# Functions that are there only where voicemail is on.
OF_VOICEMAIL = {"move-voicemail", "rotate-token"}
# And where the jobs API is.
OF_JOBS = {"jobs-api"}
# And where calls are.
OF_CALLS = {"receive-calls", "list-calls", "push-calls"}
# What every function is given, also those of calls, which have no ledger.
OF_LEDGER = {"LEDGER", "ARCHIVE", "ENVIRONMENT", "KEY_LAYOUT", "TIMEZONE"}
MONTH_MINUTES = 30 * 24 * 60
OTHER_METRICS = {
    "AWS/Lambda": LAMBDA_METRICS,
    "AWS/ApiGateway": {"5xx"},
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible"},
    "AWS/DynamoDB": {"ConsumedWriteCapacityUnits", "ConsumedReadCapacityUnits"},
}


def every_crate_has_a_function(stack, code):
    there = set(functions(stack))
    left_out = OF_VOICEMAIL if stack.parameters["Voicemail"] == "no" else set()
    yield from (f"{one} is there without voicemail" for one in sorted(there & left_out))
    if stack.parameters["JobsApi"] == "no":
        yield from (f"{one} is there without the jobs API" for one in sorted(there & OF_JOBS))
        left_out = left_out | OF_JOBS
    if stack.parameters["Calls"] == "no":
        yield from (f"{one} is there without calls" for one in sorted(there & OF_CALLS))
        left_out = left_out | OF_CALLS
    yield from (f"functions/{one} has no resource" for one in sorted(set(code.functions) - there - left_out))
    yield from (f"{one} has a resource but no crate in functions/" for one in sorted(there - set(code.functions)))


def functions_run_what_is_built(stack, code):
    for name, (_, function) in functions(stack).items():
        if (function["Runtime"], function["Handler"]) != ("provided.al2023", "bootstrap"):
            yield f"{name} must run `bootstrap` on provided.al2023"
        if function["Architectures"] != [stack.parameters["Architecture"]]:
            yield f"{name} does not follow the parameter Architecture"
        if function["Code"]["S3Key"] != f"target/lambda/{name}/bootstrap.zip":
            yield f"{name} is not deployed from what `make lambda` builds, but from {function['Code']['S3Key']}"
        if int(function["MemorySize"]) < 512:
            yield f"{name} has less than 512 MB: the first TLS handshake alone would take most of a second"


def variables_are_settings(stack, code):
    for name, (_, function) in functions(stack).items():
        if name not in code.functions:
            continue
        have = set(function["Environment"]["Variables"])
        want = code.settings(name) - NOT_DEPLOYED.keys()
        yield from (f"{name} reads {one}, which the template does not set" for one in sorted(want - have))
        yield from (f"{name} is given {one}, which it does not read" for one in sorted(have - want - (OF_LEDGER if name in OF_CALLS else set())))
        for variable in ("LEDGER", "ARCHIVE"):
            value = function["Environment"]["Variables"].get(variable, "")
            if not re.fullmatch(r"dynamodb:Table|s3://[^/]+(/[^/]+)*", value):
                yield f"{name}: {variable} is `{value}`"


def actions_are_called(stack, code):
    optional = set()
    if not stack.parameters["ObjectTags"]:
        optional.add("s3:PutObjectTagging")
    if stack.parameters["ObjectLockDays"] == "0":
        optional.add("s3:PutObjectRetention")
    if not stack.parameters["NotifyTopicArn"]:
        optional.add("sns:Publish")
    called = code.calls()
    for name, (resource, function) in functions(stack).items():
        if name not in code.functions:
            continue
        role = function["Role"].removesuffix(".Arn")
        have = {action for one in statements(stack, role) for action in listed(one["Action"])}
        behalf = ON_BEHALF | KEYS | (STREAM if streams_of(stack, resource) else set())
        want = code.actions(name) - KEYS - optional
        yield from (f"{name} calls {one}, which its role does not allow" for one in sorted(want - have))
        yield from (f"{name} may {one}, which its code does not call" for one in sorted(have - behalf - want))
        yield from (f"{name} says it calls {one}; no adapter does" for one in sorted(code.actions(name) - KEYS - called))


def roles_are_narrow(stack, code):
    roles = stack.of("AWS::IAM::Role")
    seen = set()
    for name, (_, function) in functions(stack).items():
        role = function["Role"].removesuffix(".Arn")
        if role not in roles or role in seen:
            yield f"{name} has no role of its own"
        seen.add(role)
    for role in roles:
        trust = roles[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        yield from (f"{role} may be assumed by {one['Principal']}" for one in trust if set(one["Principal"]) != {"Service"})
        for one in statements(stack, role):
            yield from (f"{role} is allowed {action}" for action in listed(one["Action"]) if "*" in action)
            if "*" in listed(one["Resource"]):
                yield f"{role}: {one['Action']} on every resource"
            keys = [action for action in listed(one["Action"]) if action.startswith("kms:")]
            if keys and "kms:ViaService" not in one.get("Condition", {}).get("StringEquals", {}):
                yield f"{role} may use the key without a service between"
            if "s3:DeleteObject" in listed(one["Action"]) and not all(
                resource.endswith(("/_SUCCESS", "/_FAILURE")) for resource in listed(one["Resource"])
            ):
                yield f"{role} may delete more than markers"


def logs_are_kept_for_a_time(stack, code):
    seen = set()
    for name, (_, function) in functions(stack).items():
        group = function.get("LoggingConfig", {}).get("LogGroup")
        if group in seen or group not in stack.of("AWS::Logs::LogGroup"):
            yield f"{name} has no log group of its own"
            continue
        seen.add(group)
        properties = stack.resources[group]["Properties"]
        if not properties.get("RetentionInDays"):
            yield f"{name}'s logs are kept for ever"
        if not properties["LogGroupName"].startswith("/callvault/stack/"):
            yield f"{group} has a name that the key's policy does not know"


def streams_of(stack, function):
    """Event source mappings of a function."""
    every = [one["Properties"] for one in stack.of("AWS::Lambda::EventSourceMapping").values()]
    return [one for one in every if one["FunctionName"] == function]


def nothing_fails_silently(stack, code):
    queues = {f"{name}.Arn" for name in stack.of("AWS::SQS::Queue")}
    configured = {}
    for one in stack.of("AWS::Lambda::EventInvokeConfig").values():
        configured[one["Properties"]["FunctionName"]] = one["Properties"]
    for name, (resource, function) in functions(stack).items():
        target = configured.get(resource, {}).get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        if target not in queues:
            yield f"{name} has no on-failure destination"
        may = {
            target
            for one in statements(stack, function["Role"].removesuffix(".Arn"))
            if "sqs:SendMessage" in listed(one["Action"])
            for target in listed(one["Resource"])
        }
        if target and target not in may:
            yield f"{name} may not send to its on-failure destination"
    for name, one in stack.of("AWS::Lambda::EventSourceMapping").items():
        if one["Properties"].get("DestinationConfig", {}).get("OnFailure", {}).get("Destination") not in queues:
            yield f"{name} has no on-failure destination"
    for name, one in stack.of("AWS::Scheduler::Schedule").items():
        target = one["Properties"]["Target"]
        if target.get("DeadLetterConfig", {}).get("Arn") not in queues:
            yield f"{name} has no dead-letter queue"
        if "RetryPolicy" not in target:
            yield f"{name} has no retry policy"
    watched = {
        dimension["Value"].removesuffix(".QueueName")
        for one in stack.of("AWS::CloudWatch::Alarm").values()
        if one["Properties"].get("MetricName") == "ApproximateNumberOfMessagesVisible"
        for dimension in one["Properties"]["Dimensions"]
    }
    yield from (f"nobody watches {one}" for one in sorted(set(stack.of("AWS::SQS::Queue")) - watched))


def timers_tell_the_time(stack, code):
    woken = set()
    for name, one in stack.of("AWS::Scheduler::Schedule").items():
        properties = one["Properties"]
        woken.add(properties["Target"]["Arn"].removesuffix(".Arn"))
        order = json.loads(properties["Target"]["Input"])
        if order.get("trigger") != "timer" or order.get("scheduled") != "<aws.scheduler.scheduled-time>":
            yield f"{name} does not say that it is a timer, and of when"
        if order.keys() - {"trigger", "scheduled", "plan", "sweep"}:
            yield f"{name} says more than functions read"
        if order.get("plan") and properties.get("ScheduleExpressionTimezone") != stack.parameters["TimeZone"]:
            yield f"{name} plans days in another time zone than they are counted in"
        if properties["State"] != ("ENABLED" if stack.parameters["Running"] == "yes" else "DISABLED"):
            yield f"{name} does not follow the parameter Running"
        role = stack.resources[properties["Target"]["RoleArn"].removesuffix(".Arn")]["Properties"]
        documents = [policy["PolicyDocument"] for policy in role["Policies"]]
        allowed = [arn for document in documents for one in document["Statement"] for arn in listed(one["Resource"])]
        if properties["Target"]["Arn"] not in allowed:
            yield f"{name} may not invoke {properties['Target']['Arn']}"
    for one in stack.of("AWS::SecretsManager::RotationSchedule").values():
        woken.add(one["Properties"]["RotationLambdaARN"].removesuffix(".Arn"))
    for one in stack.of("AWS::ApiGatewayV2::Integration").values():
        woken.add(re.search(r"(\w+)\.Arn", one["Properties"]["IntegrationUri"])[1])
    woken.update(one["Properties"]["FunctionName"] for one in stack.of("AWS::Lambda::EventSourceMapping").values())
    for name, (resource, _) in functions(stack).items():
        if resource not in woken:
            yield f"{name} has no timer"


def the_stream_is_a_hint(stack, code):
    schema = code.schema()
    mappings = streams_of(stack, functions(stack)["upload-recordings"][0])
    if len(mappings) != 1:
        yield f"upload-recordings has {len(mappings)} streams"
        return
    one = mappings[0]
    want = {"dynamodb": {"NewImage": {schema.get("WAKE"): {"S": ["upload"]}}}}
    if [json.loads(each["Pattern"]) for each in one.get("FilterCriteria", {}).get("Filters", [])] != [want]:
        yield "the stream's filter does not look at the adapter's WAKE"
    if one.get("FunctionResponseTypes") != ["ReportBatchItemFailures"] or not one.get("BisectBatchOnFunctionError"):
        yield "the stream's batches must report failures by item, and be halved"
    if not (0 < one.get("MaximumRecordAgeInSeconds", -1) <= 3600 and 0 <= one.get("MaximumRetryAttempts", -1) <= 10):
        yield "the stream must give up on old hints: a timer finds the work"
    if not one.get("MaximumBatchingWindowInSeconds"):
        yield "the stream needs a batching window: a hint, not a storm"
    if one.get("Enabled") != (stack.parameters["Running"] == "yes"):
        yield "the stream does not follow the parameter Running"


def nothing_is_reserved_by_default(stack, code):
    asked = any(stack.parameters[one] != "0" for one in ("UploadReservedConcurrency", "OtherReservedConcurrency"))
    for name, (_, function) in functions(stack).items():
        if ("ReservedConcurrentExecutions" in function) != asked:
            what = "does not reserve what was asked for" if asked else "reserves concurrency: a new account refuses it"
            yield f"{name} {what}"


def what_is_kept_stays(stack, code):
    for name, one in stack.resources.items():
        if one["Type"] in KEPT and (one.get("DeletionPolicy"), one.get("UpdateReplacePolicy")) != ("Retain", "Retain"):
            yield f"{name} goes with the stack"


def the_table_is_the_ledgers(stack, code):
    schema = code.schema()
    table = stack.resources["Table"]["Properties"]

    def keys(of):
        return [(one["AttributeName"], one["KeyType"]) for one in of["KeySchema"]]

    def pair(partition, sort):
        return [(schema.get(partition), "HASH"), (schema.get(sort), "RANGE")]

    if keys(table) != pair("PARTITION", "SORT"):
        yield "the table's keys are not the adapter's"
    indexes = {one["IndexName"]: one for one in table["GlobalSecondaryIndexes"]}
    for constant, partition, sort in (("WORK_INDEX", "WORK", "DUE"), ("COPY_INDEX", "COPY", "COPY_DUE")):
        index = indexes.pop(schema.get(constant), None)
        ours = index is not None and keys(index) == pair(partition, sort)
        if not ours or index["Projection"] != {"ProjectionType": "KEYS_ONLY"}:
            yield f"the index of {constant} is not the adapter's"
    yield from (f"nobody reads the index {one}" for one in indexes)
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    numbers = {schema.get("DUE"), schema.get("COPY_DUE")}
    if any((kind == "N") != (name in numbers) for name, kind in types.items()):
        yield "the table's keys have other types than the adapter's"
    if table.get("TimeToLiveSpecification") != {"AttributeName": schema.get("EXPIRES"), "Enabled": True}:
        yield "the table's time to live is not the adapter's"
    if table.get("StreamSpecification") != {"StreamViewType": "NEW_IMAGE"}:
        yield "the table's stream must show new images: the filter looks at them"
    if table.get("BillingMode") != "PAY_PER_REQUEST":
        yield "the table must be paid by the request"
    if not table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
        yield "the table cannot be brought back to a point in time"
    if not table.get("SSESpecification", {}).get("KMSMasterKeyId"):
        yield "the table is not encrypted with the key"


def the_bucket_is_closed(stack, code):
    for name, one in stack.of("AWS::S3::Bucket").items():
        bucket = one["Properties"]
        archive = name != "PageBucket"
        if bucket.get("VersioningConfiguration") != {"Status": "Enabled"}:
            yield f"{name} keeps no versions"
        if list(bucket.get("PublicAccessBlockConfiguration", {}).values()) != [True] * 4:
            yield f"{name} does not block public access"
        if bucket.get("OwnershipControls", {}).get("Rules") != [{"ObjectOwnership": "BucketOwnerEnforced"}]:
            yield f"{name} lets objects be owned by others"
        rule = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
        if archive and (rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] != "aws:kms" or not rule.get("BucketKeyEnabled")):
            yield f"{name} must use the KMS key, with a bucket key"
        if archive and bucket.get("ObjectLockEnabled", False) != (stack.parameters["ObjectLockDays"] != "0"):
            yield f"{name} does not follow ObjectLockDays"
        rules = {one["Id"]: one for one in bucket["LifecycleConfiguration"]["Rules"]}
        if archive and "AbortIncompleteMultipartUpload" not in rules.get("abandoned-uploads", {}):
            yield f"{name} keeps abandoned uploads"
        for id, parameter in (("transition", "TransitionDays"), ("expire", "ExpireDays"), ("noncurrent", "NoncurrentDays")):
            if archive and (id in rules) != (stack.parameters[parameter] != "0"):
                yield f"{name}: the rule {id} does not follow {parameter}"
        denied = [
            statement["Condition"]
            for policy in stack.of("AWS::S3::BucketPolicy").values()
            if policy["Properties"]["Bucket"] == name
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Deny"
        ]
        if {"Bool": {"aws:SecureTransport": "false"}} not in denied:
            yield f"{name} can be reached without TLS"


def metrics_of(stack):
    """(where, namespace, name, dimensions) of everything that alarms and the dashboard look at."""
    for name, one in stack.of("AWS::CloudWatch::Alarm").items():
        properties = one["Properties"]
        metrics = [each["MetricStat"]["Metric"] for each in properties.get("Metrics", []) if "MetricStat" in each]
        for metric in metrics or [properties]:
            dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
            yield name, metric["Namespace"], metric["MetricName"], dimensions
    for name, one in stack.of("AWS::CloudWatch::Dashboard").items():
        for widget in json.loads(one["Properties"]["DashboardBody"])["widgets"]:
            for metric in widget["properties"].get("metrics", []):
                words = [each for each in metric if isinstance(each, str)]
                if words:
                    yield name, words[0], words[1], dict(zip(words[2::2], words[3::2]))
                for expression in (each["expression"] for each in metric if isinstance(each, dict) and "expression" in each):
                    found = re.fullmatch(SEARCH, expression)
                    if not found:
                        yield name, "an expression that is not understood", expression, {}
                        continue
                    yield name, found[1], found[3], {**dict.fromkeys(found[2].split(",")), "environment": found[4]}


def metrics_exist(stack, code):
    namespace, ours = code.metrics()
    emitted = code.dimensions()
    resources = set(stack.resources)
    for where, space, name, dimensions in metrics_of(stack):
        if space == namespace:
            if name not in ours:
                yield f"{where} looks at {name}, which no function emits"
            if frozenset(dimensions) not in emitted.get(name, []):
                yield f"{where}: {name} is not emitted by {' and '.join(sorted(dimensions))}"
            if dimensions.get("environment") != stack.parameters["Environment"]:
                yield f"{where}: {name} of another environment"
            if dimensions.get("stage", "query") not in STAGES:
                yield f"{where}: there is no stage {dimensions['stage']}"
        elif name not in OTHER_METRICS.get(space, set()):
            yield f"{where} looks at {space} {name}, which does not exist"
        elif not {each.removesuffix(".QueueName") for each in dimensions.values()} <= resources:
            yield f"{where} looks at {space} {name} of something else"


def alarms_ring_and_are_explained(stack, code):
    runbook = code.headings("infra/README.md")
    for name, one in stack.of("AWS::CloudWatch::Alarm").items():
        properties = one["Properties"]
        if not set(properties.get("AlarmActions", [])) & set(stack.of("AWS::SNS::Topic")):
            yield f"{name} tells nobody"
        found = re.search(r"infra/README\.md, (\w+)$", properties.get("AlarmDescription", ""))
        if not found or found.group(1) not in runbook:
            yield f"{name} is not explained in infra/README.md"
    watched = {
        dimensions["FunctionName"]
        for where, space, metric, dimensions in metrics_of(stack)
        if (space, metric) == ("AWS/Lambda", "Errors") and where in stack.of("AWS::CloudWatch::Alarm")
    }
    yield from (f"nobody watches the errors of {name}" for name, (one, _) in functions(stack).items() if one not in watched)


def the_cost_note_counts_what_is_there(stack, code):
    if "yes" in (stack.parameters["Voicemail"], stack.parameters["JobsApi"], stack.parameters["Calls"]):
        return  # the note is about recordings
    counted = code.counted()
    alarms = [one["Properties"] for one in stack.of("AWS::CloudWatch::Alarm").values()]
    metrics = sum(len([each for each in one.get("Metrics", [one]) if "Expression" not in each]) for one in alarms)
    if stack.parameters["Running"] == "yes" and counted.get("alarm_metrics") != metrics:
        yield f"infra/measured.json counts {counted.get('alarm_metrics')} metrics of alarms, there are {metrics}"
    timers = 0
    for one in stack.of("AWS::Scheduler::Schedule").values():
        minutes = re.fullmatch(r"rate\((\d+) minutes?\)", one["Properties"]["ScheduleExpression"])
        timers += MONTH_MINUTES // int(minutes[1]) if minutes else 30
    if counted.get("timers") != timers:
        yield f"infra/measured.json counts {counted.get('timers')} timers a month, there are {timers}"
    memory = {name: int(function["MemorySize"]) / 1024 for name, (_, function) in functions(stack).items()}
    upload = memory.pop("upload-recordings", None)
    if upload != counted.get("upload_gb") or set(memory.values()) != {counted.get("other_gb")}:
        yield "infra/measured.json has another memory of functions"


def parameters_are_explained(stack, code):
    groups = re.search(r"ParameterGroups:(.*?)\nParameters:", stack.text, re.S).group(1)
    grouped = re.findall(r"\b[A-Z]\w+", re.sub(r"Label: .*", "", groups.replace("Parameters:", "")))
    for name, one in stack.declared.items():
        if not one.get("Description"):
            yield f"the parameter {name} has no description"
        if grouped.count(name) != 1:
            yield f"the parameter {name} is in {grouped.count(name)} groups"
    for path in sorted(pathlib.Path(code.root, "infra/parameters").glob("*.yaml")):
        unknown = set(re.findall(r"^(?:# )?([A-Z]\w+):", path.read_text(), re.M)) - stack.declared.keys()
        yield from (f"{path.name} sets {name}, which is no parameter" for name in sorted(unknown))


CHECKS = [
    every_crate_has_a_function,
    functions_run_what_is_built,
    variables_are_settings,
    actions_are_called,
    roles_are_narrow,
    logs_are_kept_for_a_time,
    nothing_fails_silently,
    timers_tell_the_time,
    the_stream_is_a_hint,
    voicemail_is_told_of,
    tokens_are_renewed_and_not_lost,
    the_jobs_api_is_closed,
    days_are_told_to_their_topic,
    calls_are_kept,
    changes_are_told,
    calls_are_closed,
    the_page_is_strict,
    nothing_is_reserved_by_default,
    what_is_kept_stays,
    the_table_is_the_ledgers,
    the_bucket_is_closed,
    metrics_exist,
    alarms_ring_and_are_explained,
    the_cost_note_counts_what_is_there,
    parameters_are_explained,
]


def faults(text, code):
    """Everything that is wrong with a template, once each, in the order found."""
    found = {}
    template = Template(text)
    for variant, parameters in VARIANTS.items():
        stack = Rendered(template, {**REQUIRED, **parameters})
        # Checks first: rendering and reading note faults on their way.
        every = [fault for check in CHECKS for fault in check(stack, code)] + stack.faults + code.faults
        for fault in every:
            found.setdefault(fault, variant)
    return [f"{fault} ({variant})" for fault, variant in found.items()]


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    found = faults(source(root), Code(root))
    print("\n".join(found) or f"template: {len(CHECKS)} checks of {len(VARIANTS)} variants, 0 faults")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
