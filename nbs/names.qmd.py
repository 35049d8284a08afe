"""---
title: Names
description: What the papers and other implementations call the things of this package, and every public name with its page
---"""
from perceivers.docs import names_page

print(names_page('.'))
