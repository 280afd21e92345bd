"""What must be true of telephony calls: their table, who may send events and look at them, who is told of changes, the live page."""

import json
import re

from template_rendered import functions, statements


def calls_are_kept(stack, code):
    wanted = stack.parameters["Calls"] == "yes"
    if ("CallsTable" in stack.resources) != wanted:
        yield "the table of calls does not follow Calls"
        return
    if not wanted:
        return
    schema, table = code.schema("calls"), stack.resources["CallsTable"]["Properties"]

    def keys(of):
        return [(one["AttributeName"], one["KeyType"]) for one in of["KeySchema"]]

    def pair(partition, sort):
        return [(schema.get(partition), "HASH"), (schema.get(sort), "RANGE")]

    if keys(table) != pair("PARTITION", "SORT"):
        yield "the keys of the table of calls are not the adapter's"
    indexes = {one["IndexName"]: one for one in table["GlobalSecondaryIndexes"] + table["LocalSecondaryIndexes"]}
    local = {one["IndexName"] for one in table["LocalSecondaryIndexes"]}
    for constant, partition, sort, projection in (
        ("EVENTS_INDEX", "PARTITION", "NUMBER", "ALL"),
        ("LIST_INDEX", "LIST", "ID", "KEYS_ONLY"),
        ("STATE_INDEX", "STATE", "ID", "KEYS_ONLY"),
    ):
        name = schema.get(constant)
        index = indexes.pop(name, None)
        ours = index is not None and keys(index) == pair(partition, sort) and (name in local) == (projection == "ALL")
        if not ours or index["Projection"] != {"ProjectionType": projection}:
            yield f"the index of {constant} of calls is not the adapter's"
    yield from (f"nobody reads the index {one} of calls" for one in indexes)
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    numbers = {schema.get("NUMBER"), schema.get("ID")}
    if any((kind == "N") != (name in numbers) for name, kind in types.items()):
        yield "the keys of the table of calls have other types than the adapter's"
    if table.get("TimeToLiveSpecification") != {"AttributeName": schema.get("EXPIRES"), "Enabled": True}:
        yield "the time to live of the table of calls is not the adapter's"
    if table.get("StreamSpecification") != {"StreamViewType": "NEW_IMAGE"}:
        yield "the stream of the table of calls must show new images"
    if not table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
        yield "the table of calls cannot be brought back to a point in time"
    if not table.get("SSESpecification", {}).get("KMSMasterKeyId") or not table.get("DeletionProtectionEnabled"):
        yield "the table of calls is not encrypted with the key, or can be deleted"


def changes_are_told(stack, code):
    if stack.parameters["Calls"] != "yes":
        return
    schema = code.schema("calls")
    resource, function = functions(stack)["push-calls"]
    every = [one["Properties"] for one in stack.of("AWS::Lambda::EventSourceMapping").values()]
    mappings = [one for one in every if one["FunctionName"] == resource]
    if len(mappings) != 1 or mappings[0]["EventSourceArn"] != "CallsTable.StreamArn":
        yield "push-calls is not woken by the stream of the table of calls"
        return
    one = mappings[0]

    def image(tell):
        return {"dynamodb": {"NewImage": {schema.get("TELL"): {"S": [schema.get(tell)]}}}}

    want = [image("TELL_CALL"), {"eventName": ["INSERT"], **image("TELL_CONNECTION")}]
    if [json.loads(each["Pattern"]) for each in one.get("FilterCriteria", {}).get("Filters", [])] != want:
        yield "the filter of push-calls does not look at the adapter's TELL"
    if one.get("FunctionResponseTypes") != ["ReportBatchItemFailures"] or not one.get("BisectBatchOnFunctionError"):
        yield "the batches of push-calls must report failures by item, and be halved"
    if one.get("MaximumBatchingWindowInSeconds"):
        yield "push-calls waits for a window: a change is to be told within a second"
    if not (0 < one.get("MaximumRecordAgeInSeconds", -1) <= 300 and 0 < one.get("MaximumRetryAttempts", -1) <= 20):
        yield "push-calls must give up on what is not news any more: it keeps what is new waiting"
    if one.get("Enabled") != (stack.parameters["Running"] == "yes"):
        yield "push-calls does not follow the parameter Running"
    url = function["Environment"]["Variables"].get("CALLS_SOCKETS_URL", "")
    if url != "https://CallsSockets.execute-api.eu-west-1.amazonaws.com/CallsSocketsStage":
        yield f"push-calls speaks to {url}"
    for name in ("list-calls", "push-calls"):
        for each in statements(stack, functions(stack)[name][1]["Role"].removesuffix(".Arn")):
            rows = {"dynamodb:PutItem", "dynamodb:DeleteItem"} & set(each["Action"] if isinstance(each["Action"], list) else [each["Action"]])
            keys = each.get("Condition", {}).get("ForAllValues:StringEquals", {}).get("dynamodb:LeadingKeys")
            if rows and keys != schema.get("CONNECTIONS"):
                yield f"{name} may write more than connections"


def calls_are_closed(stack, code):
    apis = {name for name, one in stack.of("AWS::ApiGatewayV2::Api").items() if name != "JobsHttpApi"}
    if apis != ({"WebhookApi", "CallsSockets"} if stack.parameters["Calls"] == "yes" else set()):
        yield f"the APIs of calls do not follow Calls: {sorted(apis)}"
    if not apis:
        return
    secrets = {"WEBHOOK_SECRET_ID": "receive-calls", "CALLS_TOKEN_SECRET_ID": "list-calls"}
    named = {}
    for variable, function in secrets.items():
        named[variable] = functions(stack)[function][1]["Environment"]["Variables"].get(variable)
        properties = stack.of("AWS::SecretsManager::Secret").get(named[variable], {}).get("Properties", {})
        if properties.get("GenerateSecretString", {}).get("PasswordLength", 0) < 32:
            yield f"{variable} is not a secret that nobody can guess"
        for each in statements(stack, functions(stack)[function][1]["Role"].removesuffix(".Arn")):
            if "secretsmanager:GetSecretValue" in each["Action"] and each["Resource"] != named[variable]:
                yield f"{function} may read another secret"
    if len(set(named.values())) != len(named):
        yield "who may send events may also look at calls"
    for name, one in stack.of("AWS::ApiGatewayV2::Stage").items():
        stage = one["Properties"]
        if stage["ApiId"] not in apis:
            continue
        settings = stage.get("DefaultRouteSettings", {})
        if not {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= settings.keys():
            yield f"{name} takes any number of requests"
        if settings.get("DataTraceEnabled"):
            yield f"{name} writes messages into a log"
        shown = re.findall(r"\$context\.[\w.]*[pP]ath|\$context\.\w*[qQ]uery\w*", stage.get("AccessLogSettings", {}).get("Format", ""))
        yield from (f"{name} writes {what} into its log: the secret may be in it" for what in shown)
    routes = {name: one["Properties"] for name, one in stack.of("AWS::ApiGatewayV2::Route").items()}
    webhook = sorted(one["RouteKey"] for one in routes.values() if one["ApiId"] == "WebhookApi")
    if webhook != ["POST /webhook", "POST /webhook/{secret}"]:
        yield f"the webhook takes {webhook}"
    sockets = {name: one for name, one in routes.items() if one["ApiId"] == "CallsSockets"}
    expected = {"$connect", "$disconnect", "$default", "ListCalls", "ListCallEvents"}
    if {one["RouteKey"] for one in sockets.values()} != expected:
        yield "the WebSocket API has other routes than its function knows"
    answered = {one["Properties"]["RouteId"] for one in stack.of("AWS::ApiGatewayV2::RouteResponse").values()}
    for name, route in sockets.items():
        asks = not route["RouteKey"].startswith("$") or route["RouteKey"] == "$default"
        if asks != (name in answered and route.get("RouteResponseSelectionExpression") == "$default"):
            yield f"{name} answers where nobody asks, or not where somebody does"
    if stack.resources["CallsSockets"]["Properties"].get("RouteSelectionExpression") != "$request.body.event":
        yield "messages do not say themselves what they are"
    for integration, function in (("WebhookIntegration", "receive-calls"), ("CallsIntegration", "list-calls")):
        resource, properties = functions(stack)[function]
        one = stack.resources[integration]["Properties"]
        if f"{resource}.Arn" not in one["IntegrationUri"]:
            yield f"{integration} does not call {function}"
        if int(properties["Timeout"]) * 1000 >= one["TimeoutInMillis"]:
            yield f"{function} answers when nobody waits any more"
        api = one["ApiId"]
        if not any(
            each["Properties"]["FunctionName"] == resource
            and each["Properties"]["Principal"] == "apigateway.amazonaws.com"
            and re.fullmatch(rf"arn:aws:execute-api:[\w-]+:\d+:{api}/\*(/POST/webhook\*)?", each["Properties"].get("SourceArn", ""))
            for each in stack.of("AWS::Lambda::Permission").values()
        ):
            yield f"{integration} may not invoke {function}, or others may"


def the_page_is_strict(stack, code):
    wanted = (stack.parameters["Calls"], stack.parameters["CallsPage"]) == ("yes", "yes")
    pages = stack.of("AWS::CloudFront::Distribution")
    if len(pages) != wanted or ("PageBucket" in stack.resources) != wanted:
        yield "the page does not follow CallsPage"
    for name, one in pages.items():
        config = one["Properties"]["DistributionConfig"]
        behavior = config["DefaultCacheBehavior"]
        headers = stack.of("AWS::CloudFront::ResponseHeadersPolicy").get(behavior.get("ResponseHeadersPolicyId"), {})
        headers = headers.get("Properties", {}).get("ResponseHeadersPolicyConfig", {}).get("SecurityHeadersConfig", {})
        policy = headers.get("ContentSecurityPolicy", {}).get("ContentSecurityPolicy", "")
        words = dict(one.strip().split(" ", 1) for one in policy.split(";") if " " in one.strip())
        strict = {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "frame-ancestors": "'none'", "base-uri": "'none'"}
        if any(words.get(word) != value for word, value in strict.items()) or "unsafe" in policy or "*" in policy:
            yield f"{name} has no strict Content-Security-Policy: {policy}"
        if words.get("connect-src") != "'self' wss://CallsSockets.execute-api.eu-west-1.amazonaws.com":
            yield f"{name} may talk to others than the WebSocket API: {words.get('connect-src')}"
        if not {"ContentTypeOptions", "StrictTransportSecurity", "ReferrerPolicy", "FrameOptions"} <= headers.keys():
            yield f"{name} leaves out a header that browsers want"
        if behavior["ViewerProtocolPolicy"] != "redirect-to-https":
            yield f"{name} is there without TLS"
        if any(not origin.get("OriginAccessControlId") for origin in config["Origins"]):
            yield f"{name} does not sign what it asks its bucket for"
    if "PageBucketPolicy" in stack.resources:
        allowed = [
            each
            for each in stack.resources["PageBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
            if each["Effect"] == "Allow"
        ]
        ours = {"StringEquals": {"aws:SourceArn": "arn:aws:cloudfront::123456789012:distribution/Page"}}
        if [one.get("Condition") for one in allowed] != [ours] or allowed[0]["Action"] != "s3:GetObject":
            yield "others than the distribution may read the page's bucket"
