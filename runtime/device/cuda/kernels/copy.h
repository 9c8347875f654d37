// Copies from memory to shared memory beside what is computed.
#pragma once
#include "device.h"

DEVICE u32 sharedAddress(const void *p) {
  u32 a;
  asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(a) : "l"(p));
  return a;
}

// copy16 starts a copy of 16 bytes, of which those past `bytes` become zeros and are not read.
DEVICE void copy16(u32 to, const void *from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"(to), "l"(from), "r"(bytes) : "memory");
}

// wait is for the copies that this thread started; a barrier then makes all threads' copies seen.
DEVICE void wait() {
  asm volatile("cp.async.wait_all;" : : : "memory");
  __syncthreads();
}
