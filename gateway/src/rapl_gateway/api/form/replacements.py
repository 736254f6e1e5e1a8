"""The request field `replacements`."""

from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from rapl_gateway.api.form.fields import invalid, is_absent
from rapl_gateway.backends.catalog_file import ReplacementTable
from rapl_gateway.transcription.replacements import NO_REPLACEMENTS, Replacements

_FIELD = "replacements"
_EXAMPLE = 'must be \'off\' or a JSON object with texts, such as {"eliza beth": "Elizabeth"}'
_TABLE: TypeAdapter[dict[str, str]] = TypeAdapter(ReplacementTable)


def requested_replacements(fields: Mapping[str, list[str]], of_client: Replacements) -> Replacements:
    """Returns the replacements of a request: those of its client, with those of the field, a JSON object. `off` leaves
    out the client's, and `{}` changes nothing.

    Args:
        fields: all values of each field.
        of_client: the replacements of the server and of the client's key.

    Raises:
        ServiceError: INVALID_REQUEST, with the field's name.
    """
    text = fields.get(_FIELD, [""])[-1].strip()
    if is_absent(text):
        return of_client
    if text == "off":
        return NO_REPLACEMENTS
    try:
        return of_client.merged(_TABLE.validate_json(text))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)[0]
        reason = details.get("ctx", {}).get("error", _EXAMPLE)  # our own errors say what is wrong
        raise invalid(_FIELD, f"'{_FIELD}' {reason}") from None
