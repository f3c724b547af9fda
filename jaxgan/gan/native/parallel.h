// Work shared out over XLA's own threads, so that no second pool of threads fights for the cores.

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

#include "xla/ffi/api/ffi.h"

namespace jaxgan {

// Runs task(0) … task(count - 1), each once, on the calling thread and on threads of the pool as
// they come free. Returns when all are done; throws what a failing task threw.
//
// The caller takes tasks too and never waits for one that nobody has begun, so calls from all
// threads of the pool at once cannot lock it up.
inline void ForEach(xla::ffi::ThreadPool& pool, int64_t count,
                    const std::function<void(int64_t)>& task) {
  struct Work {
    const std::function<void(int64_t)>& task;
    const int64_t count;
    std::atomic<int64_t> next{0};
    std::mutex mutex;  // of what follows
    std::condition_variable all_done;
    int64_t done = 0;
    std::exception_ptr error;

    Work(const std::function<void(int64_t)>& task, int64_t count) : task(task), count(count) {}

    void Help() {
      int64_t finished = 0;
      std::exception_ptr thrown;
      for (int64_t index; (index = next++) < count; ++finished) {
        try {
          task(index);
        } catch (...) {
          thrown = std::current_exception();
        }
      }
      if (finished == 0) return;  // too late to help: the caller may be gone, and its task with it
      const std::lock_guard<std::mutex> lock(mutex);
      if (thrown) error = thrown;
      done += finished;
      if (done == count) all_done.notify_all();
    }
  };
  const auto work = std::make_shared<Work>(task, count);
  const int64_t helpers = std::min(pool.num_threads(), count) - 1;
  for (int64_t helper = 0; helper < helpers; ++helper) pool.Schedule([work] { work->Help(); });
  work->Help();
  std::unique_lock<std::mutex> lock(work->mutex);
  work->all_done.wait(lock, [&] { return work->done == work->count; });
  if (work->error) std::rethrow_exception(work->error);
}

}  // namespace jaxgan
