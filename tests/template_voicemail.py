"""What must be true of the rule that tells of voicemail, and of the timers that look for what it missed."""

import json

from template_rendered import functions


def voicemail_is_told_of(stack, code):
    rules = stack.of("AWS::Events::Rule")
    wanted = stack.parameters["Voicemail"] == "yes" and stack.parameters["VoicemailEventBus"] != ""
    if len(rules) != wanted:
        yield f"there are {len(rules)} rules for voicemail"
    timers = [json.loads(one["Properties"]["Target"]["Input"]) for one in stack.of("AWS::Scheduler::Schedule").values()]
    if any(order.get("sweep") for order in timers) != (stack.parameters["Voicemail"] == "yes"):
        yield "no timer sweeps the mailboxes where voicemail is on, and only there"
    queues = {f"{name}.Arn" for name in stack.of("AWS::SQS::Queue")}
    senders = [
        one
        for policy in stack.of("AWS::SQS::QueuePolicy").values()
        for one in policy["Properties"]["PolicyDocument"]["Statement"]
        if one["Effect"] == "Allow"
    ]
    for name, one in rules.items():
        properties = one["Properties"]
        pattern = properties["EventPattern"]
        if properties["EventBusName"] != stack.parameters["VoicemailEventBus"]:
            yield f"{name} listens to another bus"
        if properties["State"] != ("ENABLED" if stack.parameters["Running"] == "yes" else "DISABLED"):
            yield f"{name} does not follow the parameter Running"
        if pattern["source"] != [{"prefix": "aws.partner/genesys.com/cloud/"}]:
            yield f"{name} takes events of other sources"
        if pattern["detail-type"] != ["v2.detail.events.conversation.{id}.voicemail.end"]:
            yield f"{name} does not take what the source sends"
        some = stack.parameters["VoicemailEventQueueIds"]
        if pattern.get("detail") != ({"eventBody": {"queueId": some}} if some else None):
            yield f"{name} does not follow VoicemailEventQueueIds"
        for target in properties["Targets"]:
            function = target["Arn"].removesuffix(".Arn")
            if function != functions(stack)["move-voicemail"][0]:
                yield f"{name} wakes {function}"
            if target.get("RetryPolicy") != {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}:
                yield f"{name} does not try for a day"
            if target.get("DeadLetterConfig", {}).get("Arn") not in queues:
                yield f"{name} has no dead-letter queue"
            from_here = {"ArnEquals": {"aws:SourceArn": f"{name}.Arn"}}
            if not any(
                each["Principal"] == {"Service": "events.amazonaws.com"} and each["Condition"] == from_here for each in senders
            ):
                yield f"{name} may not send to its dead-letter queue"
            if not any(
                each["Properties"]["FunctionName"] == function
                and each["Properties"]["Principal"] == "events.amazonaws.com"
                and each["Properties"]["SourceArn"] == f"{name}.Arn"
                for each in stack.of("AWS::Lambda::Permission").values()
            ):
                yield f"{name} may not invoke {function}"
