"""What must be true of the jobs API: nobody gets in without a signature or a JWT, and its function answers in time."""

import re

from template_rendered import functions, listed


def the_jobs_api_is_closed(stack, code):
    apis = {name: one for name, one in stack.of("AWS::ApiGatewayV2::Api").items() if name == "JobsHttpApi"}

    def of_jobs(kind):
        return {name: one for name, one in stack.of(f"AWS::ApiGatewayV2::{kind}").items() if one["Properties"]["ApiId"] == "JobsHttpApi"}

    if len(apis) != (stack.parameters["JobsApi"] == "yes"):
        yield f"there are {len(apis)} HTTP APIs"
    jwt = stack.parameters["JobsApiJwtIssuer"] != ""
    authorizers = of_jobs("Authorizer")
    for name, one in authorizers.items():
        want = {"Issuer": stack.parameters["JobsApiJwtIssuer"], "Audience": [stack.parameters["JobsApiJwtAudience"]]}
        if one["Properties"]["AuthorizerType"] != "JWT" or one["Properties"]["JwtConfiguration"] != want:
            yield f"{name} does not follow JobsApiJwtIssuer and JobsApiJwtAudience"
    routes = of_jobs("Route")
    for name, one in routes.items():
        route = one["Properties"]
        if route.get("AuthorizationType") != ("JWT" if jwt else "AWS_IAM"):
            yield f"{name} lets in whoever asks"
        if jwt and route.get("AuthorizerId") not in authorizers:
            yield f"{name} has no authorizer"
        if route["Target"].removeprefix("integrations/") not in of_jobs("Integration"):
            yield f"{name} leads nowhere"
    if apis and [one["Properties"]["RouteKey"] for one in routes.values()] != ["$default"]:
        yield "the jobs API does not answer every path itself"
    for name, one in of_jobs("Stage").items():
        stage = one["Properties"]
        if not {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= stage.get("DefaultRouteSettings", {}).keys():
            yield f"{name} takes any number of requests"
        group = stage.get("AccessLogSettings", {}).get("DestinationArn", "").removesuffix(".Arn")
        properties = stack.of("AWS::Logs::LogGroup").get(group, {}).get("Properties", {})
        if not properties.get("RetentionInDays") or not properties["LogGroupName"].startswith("/callvault/stack/"):
            yield f"{name} has no access log that is kept for a time"
        if stage["StageName"] != "$default":
            yield f"{name} puts its name before every path"
    for name, one in of_jobs("Integration").items():
        integration = one["Properties"]
        resource, function = functions(stack).get("jobs-api", ("", {"Timeout": 0}))
        if integration["IntegrationUri"] != f"{resource}.Arn" or integration["PayloadFormatVersion"] != "2.0":
            yield f"{name} does not call jobs-api as it reads requests"
        if int(function["Timeout"]) * 1000 >= integration["TimeoutInMillis"]:
            yield "jobs-api answers when nobody waits any more"
        if not any(
            each["Properties"]["FunctionName"] == resource
            and each["Properties"]["Principal"] == "apigateway.amazonaws.com"
            and re.fullmatch(r"arn:aws:execute-api:[\w-]+:\d+:JobsHttpApi/\*/\$default", listed(each["Properties"]["SourceArn"])[0])
            for each in stack.of("AWS::Lambda::Permission").values()
        ):
            yield f"{name} may not invoke jobs-api, or others may"
