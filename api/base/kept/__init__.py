"""What a process keeps in mind between requests.

- ``acts``: Acts that change nothing, for the journal: refusals and downloads, which anybody may repeat without end
- ``exchange``: What API processes tell each other: counts that hold for all of them together, however many there are
- ``failed_proofs``: Wrong proofs, by where they come from: whoever guesses is stopped, and whoever was right goes on
- ``known_gateways``: The gateways that have proved who they are to this process: what they send costs no statement
- ``limiter``: What counts by address: the library `limits`, in the memory of the process
- ``sign_in_starts``: How many sign-ins one address begins: each is a row until somebody ends it, or its time is over
"""
