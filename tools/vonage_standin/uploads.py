"""Really puts an archive into the storage target, as the vendor would; for demonstrations and whole-system tests."""

from __future__ import annotations

from tools.vonage_standin.storage import Target

TIMEOUT_SECONDS = 10


def upload(target: Target, key: str, content: bytes) -> None:
    """Put one object. Any exception is a failed upload. The SDKs are imported when first used."""
    {"s3": _to_s3, "azure": _to_azure}[target.kind](target, key, content)


def _to_s3(target: Target, key: str, content: bytes) -> None:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=TIMEOUT_SECONDS,
        read_timeout=TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
    )
    client = boto3.client(
        "s3",
        endpoint_url=target.config.get("endpoint", "https://s3.amazonaws.com"),
        aws_access_key_id=target.config["accessKey"],
        aws_secret_access_key=target.config["secretKey"],
        region_name="us-east-1",
        config=config,
    )
    encryption = {"ServerSideEncryption": "AES256"} if target.config.get("sse") == "s3" else {}
    try:
        client.put_object(Bucket=target.config["bucket"], Key=key, Body=content, **encryption)
    finally:
        client.close()


def _to_azure(target: Target, key: str, content: bytes) -> None:
    from azure.storage.blob import BlobServiceClient

    name, domain = target.config["accountName"], target.config.get("domain", "blob.core.windows.net")
    # A domain with a scheme is an emulator's; the account is then part of the path (own choice).
    url = f"{domain.rstrip('/')}/{name}" if "://" in domain else f"https://{name}.{domain}"
    credential = {"account_name": name, "account_key": target.config["accountKey"]}
    with BlobServiceClient(
        url, credential, connection_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS, retry_total=0
    ) as service:
        service.get_blob_client(target.config["container"], key).upload_blob(content, overwrite=True)
