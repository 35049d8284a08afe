"""---
title: Names
description: What the papers, other implementations and you may call the things of this package
---"""
from names_page import names_page

print(names_page('.'))
