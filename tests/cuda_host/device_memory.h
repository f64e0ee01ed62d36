/* The fake device's memory: its own range of addresses, closed to the host except while queued work runs, each allocation
 * exactly as long as asked for, between red zones, junk inside.  Addresses are never used twice.  The caller locks. */
#ifndef VR_DEVICE_MEMORY_H
#define VR_DEVICE_MEMORY_H

#include <map>
#include <stddef.h>
#include <string>

namespace vr_fake
{

class device_memory
{
  public:
    ~device_memory();
    void       *take(size_t bytes);          // NULL: no room in the range
    std::string give(void *p);               // what was written outside it, or nothing; p is ours
    bool        owns(const void *p) const;   // p is what take() gave
    bool        inside(const void *p) const; // p lies in the range, allocated or not
    size_t      room(const void *p) const;   // bytes from p to the end of its allocation; 0: not allocated
    size_t      count() const { return live.size(); }
    size_t      used() const { return bytes_used; }
    void        open(); // for the host, until close(); nests
    void        close();

    bool zeroed = false; // what is taken holds zeros instead of junk

  private:
    char                    *base = nullptr, *next = nullptr;
    std::map<char *, size_t> live;
    size_t                   bytes_used = 0;
    int                      opened = 0;
};

} // namespace vr_fake

#endif
