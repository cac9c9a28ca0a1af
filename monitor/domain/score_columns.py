"""Names of the columns that are written beside a batch's rows."""

from __future__ import annotations

SERVED = "score:"  # + class, or `score:value`: what counts as the model's answer
RAW = "raw:"  # what the model said, where something else is served
CORRECTED = "corrected:"  # corrected for the class shares of the batch, where that is not served
BESIDE = "beside:"  # what the version on trial beside the champion said: never served
PREFIXES = (SERVED, RAW, CORRECTED, BESIDE)
