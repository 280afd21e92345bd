"""What must be true of the secret of a user's tokens, of what renews it, and of where they go when it does not take them."""

from template_rendered import listed, statements


def tokens_are_renewed_and_not_lost(stack, code):
    secrets = stack.of("AWS::SecretsManager::Secret")
    rotated = {}
    for name, one in stack.of("AWS::SecretsManager::RotationSchedule").items():
        properties = one["Properties"]
        rotated[properties["SecretId"]] = properties["RotationLambdaARN"].removesuffix(".Arn")
        if properties.get("RotateImmediatelyOnUpdate") is not False:
            yield f"{name} rotates when it is deployed, before anybody has signed in"
        rules = properties.get("RotationRules", {})
        if rules != {"ScheduleExpression": stack.parameters["TokenRotation"]}:
            yield f"{name} does not follow TokenRotation"
    for name, one in secrets.items():
        if not one["Properties"].get("KmsKeyId"):
            yield f"{name} is not encrypted with the key"
        if one["Properties"].get("SecretString", "{}") != "{}":
            yield f"{name} has a value in the template"
        if one["Properties"].get("Name"):
            yield f"{name} has a name of its own: it would stand in the way of the next stack"
    invoked = {}
    for one in stack.of("AWS::Lambda::Permission").values():
        if one["Properties"]["Principal"] == "secretsmanager.amazonaws.com":
            invoked[one["Properties"]["FunctionName"].removesuffix(".Arn")] = one["Properties"].get("SourceAccount")
    for secret, function in rotated.items():
        if invoked.get(function) != "123456789012":
            yield f"Secrets Manager of this account, and only that, must be let to invoke {function}"
        variables = stack.resources[function]["Properties"]["Environment"]["Variables"]
        rescue = variables.get("RESCUE_SECRET_ID")
        if rescue not in secrets or rescue == secret:
            yield f"{function} has no rescue secret"
        role = stack.resources[function]["Properties"]["Role"].removesuffix(".Arn")
        for one in statements(stack, role):
            of_secrets = [each for each in listed(one["Action"]) if each.startswith("secretsmanager:")]
            if of_secrets and not set(listed(one["Resource"])) <= {secret, rescue}:
                yield f"{role} may {of_secrets[0]} more than its secrets"
            rows = [each for each in listed(one["Action"]) if each.startswith("dynamodb:")]
            keys = one.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys")
            if rows and keys != code.schema().get("ROTATION", "") + "*":
                yield f"{role} may {rows[0]} rows that are not the rotation's"
    if stack.parameters["Voicemail"] == "yes" and len(rotated) != 1:
        yield f"{len(rotated)} secrets are rotated with Voicemail, not one"
