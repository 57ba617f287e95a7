"""URLs are written into checkpoints, logs and error messages, and so must not be secrets."""

from urllib.parse import parse_qsl, urlsplit

# What signs a URL: presigned S3 and Google Cloud Storage ones, Azure's shared access signatures.
SIGNING = frozenset(
    {"access_token", "awsaccesskeyid", "sig", "signature", "token"}
    | {f"x-{who}-{what}" for who in ("amz", "goog") for what in ("credential", "signature")}
    | {"x-amz-security-token"}
)


def check_url(url: str) -> None:
    """Raise ValueError for a URL that carries a password, a key or a signature.

    The message does not repeat it. `user@`, as in abfs://container@account..., is no secret.
    """
    for link in url.split("::"):
        if "://" not in link:
            continue
        place = urlsplit(link)
        query = {name.lower() for name, _ in parse_qsl(place.query, keep_blank_values=True)}
        if ":" in place.netloc.rpartition("@")[0] or query & SIGNING:
            bare = f"{place.scheme}://{place.netloc.rpartition('@')[2]}{place.path}"
            raise ValueError(
                f"The URL of {bare} carries credentials, and URLs end up in checkpoints and logs. "
                "Set them where the store's library looks for them instead, as in the environment "
                "(AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_SAS_TOKEN)."
            )
