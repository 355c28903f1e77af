// A Vulkan layer that hides from the application that the driver keeps shaders within their buffers and images, so that it doesn't
// ask for that: an access outside is an error then, which validation reports. `scripts/test-drivers.sh` builds it.
//
// Each submission waits until the queue is idle. Validation reads what a shader reported after it has told the application that the
// work is done; the layers 1.4.309 lose these messages if the application resets the command buffer first, as wgpu does. Only
// vkQueueWaitIdle returns after the messages.
//
// It keeps the functions of the instance and the device that were made last. Those of all are the same here: a driver and another
// layer.

#include <string.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define EXPORT __attribute__((visibility("default")))

static PFN_vkGetInstanceProcAddr next;
static PFN_vkGetDeviceProcAddr next_of_device;
static PFN_vkCreateDevice make_device;
static PFN_vkQueueSubmit submit;
static PFN_vkQueueWaitIdle idle;
static PFN_vkGetPhysicalDeviceFeatures features;
static PFN_vkGetPhysicalDeviceFeatures2 features2;

static VKAPI_ATTR VkResult VKAPI_CALL create(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator,
                                             VkInstance *instance) {
    VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)info->pNext;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO && link->function == VK_LAYER_LINK_INFO))
        link = (VkLayerInstanceCreateInfo *)link->pNext;
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    VkResult result = ((PFN_vkCreateInstance)next(VK_NULL_HANDLE, "vkCreateInstance"))(info, allocator, instance);
    if (result != VK_SUCCESS) return result;
    make_device = (PFN_vkCreateDevice)next(*instance, "vkCreateDevice");
    features = (PFN_vkGetPhysicalDeviceFeatures)next(*instance, "vkGetPhysicalDeviceFeatures");
    features2 = (PFN_vkGetPhysicalDeviceFeatures2)next(*instance, "vkGetPhysicalDeviceFeatures2");
    return result;
}

static VKAPI_ATTR void VKAPI_CALL hide(VkPhysicalDevice device, VkPhysicalDeviceFeatures *found) {
    features(device, found);
    found->robustBufferAccess = VK_FALSE;
}

static VKAPI_ATTR void VKAPI_CALL hide2(VkPhysicalDevice device, VkPhysicalDeviceFeatures2 *found) {
    features2(device, found);
    found->features.robustBufferAccess = VK_FALSE;
    for (VkBaseOutStructure *other = found->pNext; other; other = other->pNext) {
        if (other->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT) {
            ((VkPhysicalDeviceRobustness2FeaturesEXT *)other)->robustBufferAccess2 = VK_FALSE;
            ((VkPhysicalDeviceRobustness2FeaturesEXT *)other)->robustImageAccess2 = VK_FALSE;
        } else if (other->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_ROBUSTNESS_FEATURES) {
            ((VkPhysicalDeviceImageRobustnessFeatures *)other)->robustImageAccess = VK_FALSE;
        } else if (other->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES) {
            ((VkPhysicalDeviceVulkan13Features *)other)->robustImageAccess = VK_FALSE;
        }
    }
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
                                                    const VkAllocationCallbacks *allocator, VkDevice *made) {
    VkLayerDeviceCreateInfo *link = (VkLayerDeviceCreateInfo *)info->pNext;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO && link->function == VK_LAYER_LINK_INFO))
        link = (VkLayerDeviceCreateInfo *)link->pNext;
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    next_of_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    VkResult result = make_device(physical, info, allocator, made);
    if (result != VK_SUCCESS) return result;
    submit = (PFN_vkQueueSubmit)next_of_device(*made, "vkQueueSubmit");
    idle = (PFN_vkQueueWaitIdle)next_of_device(*made, "vkQueueWaitIdle");
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL submit_and_wait(VkQueue queue, uint32_t count, const VkSubmitInfo *submits, VkFence fence) {
    VkResult result = submit(queue, count, submits, fence);
    return result == VK_SUCCESS ? idle(queue) : result;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL of_device(VkDevice made, const char *name) {
    return strcmp(name, "vkQueueSubmit") ? next_of_device(made, name) : (PFN_vkVoidFunction)submit_and_wait;
}

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *name) {
    if (!strcmp(name, "vkGetInstanceProcAddr")) return (PFN_vkVoidFunction)vkGetInstanceProcAddr;
    if (!strcmp(name, "vkCreateInstance")) return (PFN_vkVoidFunction)create;
    if (!strcmp(name, "vkCreateDevice")) return (PFN_vkVoidFunction)create_device;
    if (!strcmp(name, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)of_device;
    if (!strcmp(name, "vkGetPhysicalDeviceFeatures")) return (PFN_vkVoidFunction)hide;
    if (!strcmp(name, "vkGetPhysicalDeviceFeatures2") || !strcmp(name, "vkGetPhysicalDeviceFeatures2KHR"))
        return (PFN_vkVoidFunction)hide2;
    return next ? next(instance, name) : NULL;
}

EXPORT VKAPI_ATTR VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *interface) {
    interface->loaderLayerInterfaceVersion = 2;
    interface->pfnGetInstanceProcAddr = vkGetInstanceProcAddr;
    interface->pfnGetDeviceProcAddr = of_device;
    interface->pfnGetPhysicalDeviceProcAddr = NULL;
    return VK_SUCCESS;
}
