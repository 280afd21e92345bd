#!/usr/bin/env python3
"""Breaks template.yaml, one thing at a time, and sees that template_check.py says so. Run by `make template`.

A check that nobody has seen go red proves nothing. Each line: what is written there, what is written instead, and words of the fault
that must appear. Nothing on disk is changed.
"""

import pathlib
import sys

from template_check import faults
from template_code import Code
from template_rendered import source

MUTATIONS = [
    # crates and what they run
    (
        "target/lambda/close-days/bootstrap.zip",
        "target/lambda/close-day/bootstrap.zip",
        "is not deployed from what `make lambda` builds",
    ),
    ("-submit-batches\n", "-submit-batch\n", "submit-batch has a resource but no crate"),
    ("-submit-batches\n", "-submit-batch\n", "functions/submit-batches has no resource"),
    ("Handler: bootstrap", "Handler: main", "must run `bootstrap`"),
    ("Architectures: [!Ref Architecture]", "Architectures: [arm64]", "does not follow the parameter Architecture"),
    ("MemorySize: 512", "MemorySize: 128", "has less than 512 MB"),
    # settings
    ("          BATCH_SIZE: !Ref BatchSize\n", "", "reads BATCH_SIZE, which the template does not set"),
    (
        "          BATCH_SIZE: !Ref BatchSize\n",
        "          BATCH_SIZE: !Ref BatchSize\n          EXTRA: 1\n",
        "is given EXTRA",
    ),
    ("LEDGER: !Sub dynamodb:${Table}", "LEDGER: !Sub ${Table}", "LEDGER is `Table`"),
    # permissions
    ("              - dynamodb:BatchGetItem\n", "", "calls dynamodb:BatchGetItem, which its role does not allow"),
    ("- dynamodb:BatchGetItem", "- dynamodb:Scan", "may dynamodb:Scan, which its code does not call"),
    ("- dynamodb:BatchGetItem", "- dynamodb:*", "is allowed dynamodb:*"),
    ("Resource: !GetAtt Table.Arn\n", 'Resource: "*"\n', "on every resource"),
    ("kms:ViaService:", "aws:SourceVpc:", "may use the key without a service between"),
    ("*/_SUCCESS", "*", "may delete more than markers"),
    ("Principal: { Service: lambda.amazonaws.com }", 'Principal: { AWS: "*" }', "may be assumed by"),
    ("Role: !GetAtt CloseDaysRole.Arn", "Role: !GetAtt PollBatchesRole.Arn", "has no role of its own"),
    ("!If [Tags, s3:PutObjectTagging, !Ref AWS::NoValue]", "s3:PutObjectTagging", "may s3:PutObjectTagging"),
    # logs
    ("LogGroup: !Ref CloseDaysLogs", "LogGroup: !Ref PollBatchesLogs", "has no log group of its own"),
    ("      RetentionInDays: !Ref LogRetentionDays\n", "", "logs are kept for ever"),
    ("LogGroupName: !Sub /callvault/", "LogGroupName: !Sub /aws/lambda/", "has a name that the key's policy does not know"),
    # failures
    (
        "        MaximumRetryAttempts: 2\n        DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt DeadLetters.Arn } }\n",
        "        MaximumRetryAttempts: 2\n",
        "has no on-failure destination",
    ),
    (
        "            DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt DeadLetters.Arn } }\n",
        "",
        "UploadRecordingsDue has no on-failure",
    ),
    ("        DeadLetterConfig: { Arn: !GetAtt DeadLetters.Arn }\n", "", "has no dead-letter queue"),
    (
        "{ Effect: Allow, Action: sqs:SendMessage, Resource: !GetAtt DeadLetters.Arn }",
        "{ Effect: Allow, Action: sqs:SendMessage, Resource: !GetAtt Alarms.Arn }",
        "may not send to its on-failure destination",
    ),
    ("Value: !GetAtt DeadLetters.QueueName", "Value: !GetAtt Other.QueueName", "nobody watches DeadLetters"),
    # timers
    ('"trigger":"timer","plan":true', '"trigger":"clock","plan":true', "does not say that it is a timer"),
    ("ScheduleExpressionTimezone: !Ref TimeZone", "ScheduleExpressionTimezone: UTC+1", "plans days in another time zone"),
    ("State: !If [IsRunning, ENABLED, DISABLED]", "State: ENABLED", "does not follow the parameter Running"),
    ("                  - !GetAtt CloseDays.Arn\n", "", "may not invoke CloseDays.Arn"),
    (
        "Arn: !GetAtt CloseDays.Arn\n        RoleArn",
        "Arn: !GetAtt PollBatches.Arn\n        RoleArn",
        "close-days has no timer",
    ),
    # stream
    ('"wake":{"S":["upload"]}', '"wakes":{"S":["upload"]}', "filter does not look at the adapter's WAKE"),
    ("            FunctionResponseTypes: [ReportBatchItemFailures]\n", "", "must report failures by item"),
    ("MaximumRecordAgeInSeconds: 3600", "MaximumRecordAgeInSeconds: -1", "must give up on old hints"),
    ("            MaximumBatchingWindowInSeconds: 5\n", "", "needs a batching window"),
    ("            Enabled: !If [IsRunning, true, false]\n", "", "the stream does not follow the parameter Running"),
    # voicemail
    ("target/lambda/move-voicemail/", "target/lambda/voicemail/", "is not deployed from what `make lambda` builds"),
    (
        "  MoveVoicemail:\n    Type: AWS::Serverless::Function\n    Condition: WithVoicemail\n",
        "  MoveVoicemail:\n    Type: AWS::Serverless::Function\n",
        "move-voicemail is there without voicemail",
    ),
    ('"trigger":"timer","sweep":true,', '"trigger":"timer",', "no timer sweeps the mailboxes"),
    ("prefix: aws.partner/genesys.com/cloud/", "prefix: aws.partner/", "takes events of other sources"),
    ("conversation.{id}.voicemail.end", "conversation.*.voicemail.end", "does not take what the source sends"),
    ("          - OnlySomeQueues\n", "          - WithVoicemail\n", "does not follow VoicemailEventQueueIds"),
    ("EventBusName: !Ref VoicemailEventBus", "EventBusName: default", "listens to another bus"),
    (
        "          RetryPolicy: { MaximumEventAgeInSeconds: 86400, MaximumRetryAttempts: 185 }\n          Dead",
        "          Dead",
        "does not try for a day",
    ),
    ("          DeadLetterConfig: { Arn: !GetAtt DeadLetters.Arn }\n\n", "\n", "VoicemailEnds has no dead-letter queue"),
    ("aws:SourceArn: !GetAtt VoicemailEnds.Arn", "aws:SourceArn: !GetAtt Table.Arn", "may not send to its dead-letter queue"),
    ("      Principal: events.amazonaws.com\n", "      Principal: lambda.amazonaws.com\n", "may not invoke MoveVoicemail"),
    ("          VOICEMAIL_QUEUES: !Ref VoicemailQueues\n", "", "reads VOICEMAIL_QUEUES, which the template does not set"),
    ("[!Ref LedgerAccess, !Ref VoicemailSignIn,", "[!Ref LedgerAccess,", "calls secretsmanager:GetSecretValue"),
    ("Value: !Ref MoveVoicemail }]", "Value: !Ref CloseDays }]", "nobody watches the errors of move-voicemail"),
    # notifications
    ("Action: sns:Publish, Resource: !Ref NotifyTopicArn", "Action: sns:Publish, Resource: !Ref Alarms", "may publish to another topic"),
    ("          EMAILS: !Ref NotifyEmails\n", "", "reads EMAILS, which the template does not set"),
    ("                  - TellsTopic\n", "                  - Mails\n", "sns:Publish"),
    ("    NoEcho: true\n", "", "NotifyUrl is shown"),
    # the jobs API
    ("AuthorizationType: !If [WithJobsApiJwt, JWT, AWS_IAM]", "AuthorizationType: NONE", "lets in whoever asks"),
    ("!If [WithJobsApiJwt, JWT, AWS_IAM]", "!If [WithJobsApi, AWS_IAM, AWS_IAM]", "lets in whoever asks"),
    ("AuthorizerId: !If [WithJobsApiJwt, !Ref JobsAuthorizer, !Ref AWS::NoValue]\n", "AuthorizerId: other\n", "has no authorizer"),
    ("Issuer: !Ref JobsApiJwtIssuer,", "Issuer: https://example.com/,", "does not follow JobsApiJwtIssuer"),
    ("RouteKey: $default", "RouteKey: POST /", "does not answer every path itself"),
    ("      DefaultRouteSettings: { ThrottlingRateLimit: 5, ThrottlingBurstLimit: 10 }\n", "", "any number of requests"),
    ("DestinationArn: !GetAtt JobsAccessLogs.Arn", "DestinationArn: !GetAtt Table.Arn", "has no access log"),
    ("StageName: $default", "StageName: v1", "puts its name before every path"),
    ('PayloadFormatVersion: "2.0"', 'PayloadFormatVersion: "1.0"', "does not call jobs-api as it reads requests"),
    ("      Timeout: 29\n", "      Timeout: 60\n", "answers when nobody waits any more"),
    ("Principal: apigateway.amazonaws.com", "Principal: events.amazonaws.com", "may not invoke jobs-api"),
    ("${JobsHttpApi}/*/$default", "*", "may not invoke jobs-api, or others may"),
    ("MetricName: 5xx", "MetricName: 5XXError", "looks at AWS/ApiGateway 5XXError, which does not exist"),
    ('!Equals [!Ref JobsApi, "yes"]', '!Equals [!Ref JobsApi, "no"]', "jobs-api is there without the jobs API"),
    # token rotation
    ("      RotateImmediatelyOnUpdate: false\n", "", "rotates when it is deployed"),
    ("ScheduleExpression: !Ref TokenRotation", "ScheduleExpression: rate(90 days)", "does not follow TokenRotation"),
    ('SecretString: "{}"', 'SecretString: "secret"', "has a value in the template"),
    (
        "      KmsKeyId: !If [MakesKey, !GetAtt Key.Arn, !Ref KmsKeyArn]\n      SecretString",
        "      SecretString",
        "is not encrypted with the key",
    ),
    ("      SourceAccount: !Ref AWS::AccountId\n", "", "Secrets Manager of this account, and only that"),
    ("RESCUE_SECRET_ID: !Ref VoicemailRescueSecret", "RESCUE_SECRET_ID: !Ref VoicemailSecret", "has no rescue secret"),
    ("Resource: !Ref VoicemailSecret\n", "Resource: !Ref GenesysSecretArn\n", "more than its secrets"),
    ('dynamodb:LeadingKeys: "rotation/*"', 'dynamodb:LeadingKeys: "*"', "rows that are not the rotation's"),
    ("RotationLambdaARN: !GetAtt RotateToken.Arn", "RotationLambdaARN: !GetAtt CloseDays.Arn", "rotate-token has no timer"),
    ("                  - secretsmanager:ListSecretVersionIds\n", "", "calls secretsmanager:ListSecretVersionIds"),
    (
        "  VoicemailSecret:\n    Type: AWS::SecretsManager::Secret\n    Condition: WithVoicemail\n    DeletionPolicy: Retain",
        "  VoicemailSecret:\n    Type: AWS::SecretsManager::Secret\n    Condition: WithVoicemail\n    DeletionPolicy: Delete",
        "VoicemailSecret goes with the stack",
    ),
    ("MetricName: SignInsNeeded", "MetricName: SignIns", "looks at SignIns, which no function emits"),
    ('!Equals [!Ref Voicemail, "yes"]', '!Equals [!Ref Voicemail, "no"]', "rotate-token is there without voicemail"),
    # concurrency, retention, table
    ("!If [ReservesUpload, !Ref UploadReservedConcurrency, !Ref AWS::NoValue]", "1", "reserves concurrency"),
    (
        "    Type: AWS::DynamoDB::Table\n    DeletionPolicy: Retain",
        "    Type: AWS::DynamoDB::Table\n    DeletionPolicy: Delete",
        "Table goes with the stack",
    ),
    ("    Condition: MakesKey\n    DeletionPolicy: Retain\n", "    Condition: MakesKey\n", "Key goes with the stack"),
    ("IndexName: copy-due", "IndexName: copies-due", "the index of COPY_INDEX is not the adapter's"),
    (
        "{ AttributeName: due, AttributeType: N }",
        "{ AttributeName: due, AttributeType: S }",
        "other types than the adapter's",
    ),
    (
        "{ AttributeName: sk, KeyType: RANGE }",
        "{ AttributeName: work, KeyType: RANGE }",
        "the table's keys are not the adapter's",
    ),
    ("AttributeName: expires", "AttributeName: expired", "time to live is not the adapter's"),
    ("StreamViewType: NEW_IMAGE", "StreamViewType: KEYS_ONLY", "must show new images"),
    ("PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", "cannot be brought back"),
    # bucket
    ("VersioningConfiguration: { Status: Enabled }", "VersioningConfiguration: { Status: Suspended }", "keeps no versions"),
    ("BlockPublicPolicy: true", "BlockPublicPolicy: false", "does not block public access"),
    ("BucketKeyEnabled: true", "BucketKeyEnabled: false", "with a bucket key"),
    ('aws:SecureTransport: "false"', 'aws:SecureTransport: "true"', "can be reached without TLS"),
    ("ObjectLockEnabled: !If [Locks, true, !Ref AWS::NoValue]", "ObjectLockEnabled: true", "does not follow ObjectLockDays"),
    ("AbortIncompleteMultipartUpload: { DaysAfterInitiation: 2 }", "ExpirationInDays: 2", "keeps abandoned uploads"),
    ("            - Expires\n", "            - MakesBucket\n", "the rule expire does not follow ExpireDays"),
    # metrics and alarms
    ("MetricName: Parked", "MetricName: Parking", "looks at Parking, which no function emits"),
    ("Value: upload }]", "Value: uploading }]", "there is no stage uploading"),
    (
        '[ "callvault", "DaysClosed", "environment", "${Environment}" ]',
        '[ "callvault", "DaysClosed" ]',
        "DaysClosed is not emitted by",
    ),
    ("MetricName: Throttles", "MetricName: Throttled", "AWS/Lambda Throttled, which does not exist"),
    ("      AlarmActions: [!Ref Alarms]\n", "", "tells nobody"),
    ("infra/README.md, Stopped", "infra/README.md, Halted", "is not explained"),
    (
        "Dimensions: [{ Name: FunctionName, Value: !Ref CloseDays }]",
        "Dimensions: [{ Name: FunctionName, Value: !Ref PollBatches }]",
        "nobody watches the errors of close-days",
    ),
    ('environment=\\"${Environment}\\"', 'environment=\\"test\\"', "Parked of another environment"),
    # the cost note
    ("rate(1 minute)", "rate(2 minutes)", "timers a month, there are"),
    ("        - Id: describe\n", "        - Id: describe\n          Expression: upload\n", "metrics of alarms, there are"),
    ("      MemorySize: 512\n", "      MemorySize: 1024\n", "has another memory"),
    # calls
    ("{ AttributeName: list, KeyType: HASH }", "{ AttributeName: state, KeyType: HASH }", "the index of LIST_INDEX of calls"),
    ("          Projection: { ProjectionType: ALL }\n", "          Projection: { ProjectionType: KEYS_ONLY }\n", "EVENTS_INDEX of calls"),
    ('{"tell":{"S":["call"]}}', '{"tell":{"S":["calls"]}}', "the filter of push-calls"),
    ("            BatchSize: 100\n", "            BatchSize: 100\n            MaximumBatchingWindowInSeconds: 5\n", "push-calls waits for a window"),
    ("            MaximumRecordAgeInSeconds: 60\n", "            MaximumRecordAgeInSeconds: 3600\n", "push-calls must give up"),
    (
        "Condition: { \"ForAllValues:StringEquals\": { dynamodb:LeadingKeys: connections } }",
        "Condition: { \"ForAllValues:StringEquals\": { dynamodb:LeadingKeys: numbers } }",
        "list-calls may write more than connections",
    ),
    ('"route":"$context.routeKey"', '"route":"$context.path"', "WebhookStage writes $context.path into its log"),
    ("RouteKey: POST /webhook\n", "RouteKey: $default\n", "the webhook takes"),
    ("      RouteResponseSelectionExpression: $default\n", "", "answers where nobody asks, or not where somebody does"),
    ("$request.body.event", "$request.body.action", "messages do not say themselves what they are"),
    ("WEBHOOK_SECRET_ID: !Ref WebhookSecret", "WEBHOOK_SECRET_ID: !Ref CallsTokenSecret", "who may send events may also look at calls"),
    ("PasswordLength: 48", "PasswordLength: 8", "is not a secret that nobody can guess"),
    ("dynamodb:PutItem, dynamodb:UpdateItem]", "dynamodb:PutItem]", "receive-calls calls dynamodb:UpdateItem"),
    ("Action: execute-api:ManageConnections", "Action: execute-api:Invoke", "push-calls calls execute-api:ManageConnections"),
    ("script-src 'self';", "script-src 'self' 'unsafe-inline';", "has no strict Content-Security-Policy"),
    ("wss://${CallsSockets}.execute-api.${AWS::Region}.${AWS::URLSuffix}; base", "wss:; base", "may talk to others than the WebSocket API"),
    ("ViewerProtocolPolicy: redirect-to-https", "ViewerProtocolPolicy: allow-all", "is there without TLS"),
    ("distribution/${Page}", "distribution/*", "others than the distribution"),
    # parameters and references
    ("    Description: How much the functions say.\n", "", "the parameter LogLevel has no description"),
    ("LogLevel, LogRetentionDays]", "LogRetentionDays]", "the parameter LogLevel is in 0 groups"),
    (
        "  LogLevel:\n    Description",
        "  Level:\n    Description",
        "there is no parameter LogLevel|refers to LogLevel, which does not exist",
    ),
    ("Bucket: !Ref Bucket\n", "Bucket: !Ref AlarmsMail\n", "refers to AlarmsMail, which is left out by its condition"),
]


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    text = source(root)
    code = Code(root)
    before = set(faults(text, code))
    missed = []
    for old, new, words in MUTATIONS:
        if old not in text:
            missed.append(f"not there any more: {old.strip()}")
            continue
        after = set(faults(text.replace(old, new), code)) - before
        if not any(word in fault for fault in after for word in words.split("|")):
            missed.append(f"`{old.strip()}` became `{new.strip()}`, and nobody said: {words}; but {sorted(after)[:3]}")
    print("\n".join(missed) or f"template: {len(MUTATIONS)} mutations, each noticed")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
