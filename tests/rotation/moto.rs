//! The same over moto, which is somebody else's idea of Secrets Manager. It begins a rotation like AWS, with a version
//! that has no value, but cannot be made to run the steps of ours, so they are run here.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::RotationRulesType;
use callvault_tests::stand_ins::moto::unique;
use serde_json::Value;

use super::scene::Scene;

/// A pending version without a value. moto then looks for the function, does not find it, and says so.
async fn begin(client: &Client, secret: &str, version: &str) {
    let rules = RotationRulesType::builder().automatically_after_days(1).build();
    let asked = client.rotate_secret().secret_id(secret).client_request_token(version).rotation_rules(rules);
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:rotate-token";
    asked.rotation_lambda_arn(arn).send().await.unwrap_err();
}

async fn staged(client: &Client, secret: &str, stage: &str) -> Value {
    let found = client.get_secret_value().secret_id(secret).version_stage(stage).send().await.unwrap();
    serde_json::from_str(found.secret_string().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_rotations_over_moto_and_one_that_takes_over() {
    let mut scene = Scene::start().await;
    let client = Client::new(&scene.over_moto());
    let secret = unique("voicemail");
    let made = client.create_secret().name(&secret).secret_string(scene.document()).send().await.unwrap();
    let arn = made.arn().unwrap();
    let mut before = staged(&client, &secret, "AWSCURRENT").await;
    for version in ["a-rotation-over-moto-00000000001", "a-rotation-over-moto-00000000002"] {
        begin(&client, &secret, version).await;
        // AWS names the secret by its ARN.
        scene.rotate(arn, version).await.unwrap();
        let now = staged(&client, &secret, "AWSCURRENT").await;
        assert_ne!(now["refreshToken"], before["refreshToken"]);
        assert!(scene.is_accepted(&now).await && scene.is_unspent(&now));
        assert_eq!((&now["owner"], &now["nested"]), (&before["owner"], &before["nested"]));
        assert_eq!(staged(&client, &secret, "AWSPREVIOUS").await, before);
        before = now;
        // As AWS leaves it: moto would refuse the next rotation otherwise.
        let done = client.update_secret_version_stage().secret_id(&secret).version_stage("AWSPENDING");
        done.remove_from_version_id(version).send().await.unwrap();
    }
    assert_eq!(scene.exchanges(), 2);
    begin(&client, &secret, "a-rotation-over-moto-00000000003").await;
    scene.step(arn, "a-rotation-over-moto-00000000003", "createSecret").await.unwrap();
    begin(&client, &secret, "a-rotation-over-moto-00000000004").await;
    scene.rotate(arn, "a-rotation-over-moto-00000000004").await.unwrap();
    assert_eq!(scene.exchanges(), 3, "its pair was taken over");
    let now = staged(&client, &secret, "AWSCURRENT").await;
    assert!(scene.is_accepted(&now).await && scene.is_unspent(&now));
}
