"""---
title: Reference
description: Every public name, with what it is or gives, and the page that explains it
---"""
from names_page import reference_page

print(reference_page('.'))
