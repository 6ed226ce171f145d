"""What the product is worked on with: checks, tests, benchmarks, what is made from the code. It is not in the image.

`app.py` names the commands and what each takes, beside those of the product (`cli/app.py`). The product never imports
from here; the import contracts hold it.
"""
