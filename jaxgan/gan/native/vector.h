// Loops over floats, compiled once for each width of vector that a processor may have.

#pragma once

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define JAXGAN_VECTORIZED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define JAXGAN_VECTORIZED
#endif
