"""What must be true of whoever tells people of closed days."""

from template_rendered import listed, statements


def days_are_told_to_their_topic(stack, code):
    topic = stack.parameters["NotifyTopicArn"]
    for role in stack.of("AWS::IAM::Role"):
        for one in statements(stack, role):
            if "sns:Publish" in listed(one["Action"]) and listed(one["Resource"]) != [topic]:
                yield f"{role} may publish to another topic than NotifyTopicArn"
    if not stack.declared["NotifyUrl"].get("NoEcho"):
        yield "NotifyUrl is shown to whoever looks at the stack"
